// Presenter mode: larger type, no sidebar, the next ticker each PRESENT_MS, and the page's address where it is open to the room.

const PRESENT_MS = 15_000;

class Presenter {
  constructor(stage) {
    this.stage = stage;
    this.on = false;
  }

  turn(on = !this.on) {
    const { root, data } = this.stage, [, , wide] = root.children;  // the address has room of its own there: it covers no price
    this.on = on;
    document.documentElement.classList.toggle("sw-present", on);
    clearInterval(this.turning);
    for (const old of root.querySelectorAll(".sw-room, .sw-leave")) old.remove();
    if (on) {
      this.turning = setInterval(() => this.stage.next(1), PRESENT_MS);
      wide.insertAdjacentHTML("beforeend", data.room ?? "");
      root.insertAdjacentHTML("beforeend", '<button type="button" class="sw-leave" data-do="present" aria-label="Leave presenter mode">Leave</button>');
    }
    window.dispatchEvent(new Event("resize"));  // the charts have another height now
  }

  close() {
    clearInterval(this.turning);
    document.documentElement.classList.remove("sw-present");
  }
}
