"""Why Kafka lets us not in, in plain words: name, port, certificate, user and password, the way it wants to be spoken to.

kafka-python says only that it cannot bootstrap. When the connection is closed right after an answer, as Kafka does when
it refuses a password, it drops the answer too (3.0.12, transport._sock_recv). So this asks once more, over a socket of its own.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any

from kafka.errors import KafkaError
from kafka.net.sasl import get_sasl_mechanism
from kafka.protocol.metadata import ApiVersionsRequest, MetadataRequest
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

from stockwatch.component import KafkaAddress

ASK_SECONDS = 2.0  # for each server, at most
LEAST_SECONDS = 0.5
TLS_ALERT = b"\x15\x03"  # how every TLS server answers to what is not TLS


@dataclass(frozen=True)
class Refusal:
    """`reason` holds no secret. final: the settings must change, so that trying again does not help."""

    reason: str
    final: bool = False


def refusal(address: KafkaAddress, seconds: float = 10.0) -> Refusal | None:
    """What the first server says that says something final, else the first of all; None: one of them lets us in.

    Within `seconds`, of which each server has its share.
    """
    share = max(min(ASK_SECONDS, seconds / len(address.bootstrap_servers)), LEAST_SECONDS)
    found: list[Refusal] = []
    for server in address.bootstrap_servers:
        said = _Door(server, address.security, share).knock()
        if said is None:
            return None
        found.append(said)
    return next((said for said in found if said.final), found[0])


class _RefusedError(Exception):
    def __init__(self, refused: Refusal) -> None:
        super().__init__(refused.reason)
        self.refused = refused


class _Door:
    """One connection to one server."""

    def __init__(self, server: str, security: Any, seconds: float) -> None:
        host, _, port = server.rpartition(":")
        self._server, self._host, self._port = server, host.strip("[]"), int(port)
        self._security = security
        self._protocol = security.get("security_protocol", "PLAINTEXT")
        self._seconds, self._until = seconds, time.monotonic() + seconds
        self._kafka = KafkaProtocol(client_id="stockwatch")

    def knock(self) -> Refusal | None:
        """Connect, greet, log in, ask for the servers."""
        try:
            with socket.create_connection((self._host, self._port), self._seconds) as plain:
                self._speak(self._secured(plain))
        except _RefusedError as error:
            return error.refused
        except socket.gaierror:
            return Refusal(f"the name {self._host} is not known")
        except TimeoutError:
            within = (
                f" within {ASK_SECONDS:g} s" if self._seconds >= ASK_SECONDS else ""
            )  # a last, short try says nothing of time
            return Refusal(f"{self._server} does not answer{within}")
        except ConnectionRefusedError:
            return Refusal(f"nothing listens on {self._server}")
        except (OSError, KafkaError) as error:
            return Refusal(f"{self._server}: {getattr(error, 'strerror', None) or type(error).__name__}")
        return None

    def _secured(self, plain: socket.socket) -> socket.socket:
        if not self._protocol.endswith("SSL"):
            return plain
        context = ssl.create_default_context(cafile=self._security.get("ssl_cafile"))
        context.check_hostname = self._security.get("ssl_check_hostname", True)
        if certificate := self._security.get("ssl_certfile"):
            context.load_cert_chain(certificate, self._security.get("ssl_keyfile"))
        try:
            return context.wrap_socket(plain, server_hostname=self._host)
        except ssl.SSLCertVerificationError as error:
            raise _RefusedError(
                Refusal(f"its certificate is not trusted ({error.verify_message}): see kafka.ssl_cafile", True)
            ) from error
        except (ssl.SSLError, ConnectionResetError) as error:  # Kafka closes what is not its protocol
            reason = f"{self._server} does not speak TLS, or not with us: see kafka.security_protocol ({self._protocol})"
            final = isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError)  # else it may be going down
            raise _RefusedError(Refusal(reason, final)) from error

    def _speak(self, door: socket.socket) -> None:
        with door:
            greeting = ApiVersionsRequest(version=0)
            if self._ask(door, greeting) is None:
                raise _RefusedError(Refusal(f"{self._server} closes the connection"))
            if self._protocol.startswith("SASL"):
                self._log_in(door)
            if self._ask(door, MetadataRequest(version=1, topics=[])) is None:
                reason = f"{self._server} closes the connection at the first question: it wants another kafka.security_protocol"
                raise _RefusedError(Refusal(f"{reason} than {self._protocol}"))

    def _log_in(self, door: socket.socket) -> None:
        name, user = self._security["sasl_mechanism"], self._security["sasl_plain_username"]
        answer = self._ask(door, SaslHandshakeRequest(mechanism=name, version=1))
        if answer is None:
            reason = f"{self._server} closes the connection at the login: it wants another kafka.security_protocol"
            raise _RefusedError(Refusal(f"{reason} than {self._protocol}"))
        if answer.error_code:
            offered = ", ".join(answer.mechanisms)
            reason = f"it does not take kafka.sasl_mechanism {name}" + (
                f", but {offered}" if offered else "; it wants no SASL here"
            )
            raise _RefusedError(Refusal(reason, True))
        mechanism = get_sasl_mechanism(name)(host=self._host, **self._security)
        while not mechanism.is_done():
            answer = self._ask(door, SaslAuthenticateRequest(auth_bytes=mechanism.auth_bytes(), version=0))
            if answer is None or answer.error_code:
                reason = f"it refuses user {user!r} or the password: see kafka.sasl_username and kafka.sasl_password"
                raise _RefusedError(Refusal(reason, True))
            mechanism.receive(answer.auth_bytes)

    def _ask(self, door: socket.socket, question: Any) -> Any:
        """The answer; None when the connection is closed instead."""
        self._kafka.send_request(question)
        try:
            door.settimeout(max(self._until - time.monotonic(), 0.05))
            door.sendall(self._kafka.send_bytes())
            while True:
                door.settimeout(max(self._until - time.monotonic(), 0.05))
                data = door.recv(65_536)
                if not data:
                    return None
                if data.startswith(TLS_ALERT):
                    raise _RefusedError(
                        Refusal(f"{self._server} speaks TLS: see kafka.security_protocol ({self._protocol})", True)
                    )
                try:
                    for _number, answer in self._kafka.receive_bytes(data):
                        return answer
                except Exception as error:  # whatever kafka-python meets in what is no answer
                    raise _RefusedError(Refusal(f"{self._server} does not speak Kafka's protocol")) from error
        except (ConnectionResetError, BrokenPipeError):
            return None
