"""What the guard lets through, by name. Reviewed against the engine's own lists; tests say when a new engine brings more.

Reaching out means: a file, an address, another process, a disk, another's query, or a text that the engine parses by itself.
"""

from __future__ import annotations

import re

# Table functions that neither read files nor the network nor tables by name; every other one is refused.
TABLE_FUNCTIONS = {
    "numbers", "numbers_mt", "zeros", "zeros_mt", "primes", "generateseries", "generate_series", "generaterandom", "values",
    "sqlstandardvalues", "view", "null",
}  # fmt: skip

# Every other table function of chdb-core 26.9, as a name of a function anywhere (`x IN file(…)`, `CREATE TABLE t AS url(…)`).
# `format` and `fuzzQuery` are functions of a row too, and harmless there.
REFUSED_TABLE_FUNCTIONS = {
    "arrowstream", "azureblobstorage", "azureblobstoragecluster", "bigquery", "cluster", "clusterallreplicas", "cosn",
    "deltalake", "deltalakeazure", "deltalakeazurecluster", "deltalakecluster", "deltalakelocal", "deltalakes3",
    "deltalakes3cluster", "dictionary", "eval", "executable", "file", "filecluster", "filesystem", "fuzzjson", "gcs",
    "hdfs", "hdfscluster", "hudi", "hudicluster", "iceberg", "icebergazure", "icebergazurecluster", "icebergcluster",
    "iceberghdfs", "iceberghdfscluster", "iceberglocal", "iceberglocalcluster", "icebergs3", "icebergs3cluster", "input",
    "jdbc", "loop", "merge", "mergetreeanalyzeindexes", "mergetreeanalyzeindexesuuid", "mergetreecodecblockcounts",
    "mergetreeindex", "mergetreeprojection", "mergetreetextindex", "mongodb", "mysql", "odbc", "oss", "paimon",
    "paimonazure", "paimonazurecluster", "paimoncluster", "paimonhdfs", "paimonhdfscluster", "paimonlocal", "paimons3",
    "paimons3cluster", "postgresql", "prometheusquery", "prometheusqueryrange", "python", "redis", "remote", "remotesecure",
    "s3", "s3cluster", "sqlite", "timeseriesdata", "timeseriesmetricfamilies", "timeseriesmetrics", "timeseriessamples",
    "timeseriesselector", "timeseriestags", "url", "urlcluster", "viewexplain", "viewifpermitted", "ytsaurus",
}  # fmt: skip

# Functions of a row that reach out: files, other servers (hasColumnInTable takes an address), models, dictionaries, the
# binary's symbols, ZooKeeper, the log; and those that only hold a thread.
_FUNCTIONS = re.compile(
    r"file|sleep|sleepeachrow|hascolumnintable|dict(get|has|isin).*|joinget.*|region(in|to|hierarchy).*|ai[a-z]*|evalmlmethod"
    r"|catboostevaluate|naivebayesclassifier.*|assigncentroid|addressto.*|logtrace|showcertificate|generateserialid|zookeeper.*"
    r"|getosksetting|getoskernelversion|getserversetting|getclienthttpheader|currentrequesturl|currenthandler|getmacro"
    r"|filesystem.*|flushloguntil|timeseriesstoretags|__getscalar|__scalarsubqueryresult|__applyfilter"
)

# What the reader may see of `system`: what describes types, tables and functions; no query texts, no paths of the machine
# beyond those in `tables` and `databases`, no users, no disks.
SYSTEM_TABLES = {
    "one", "numbers", "numbers_mt", "zeros", "zeros_mt", "tables", "columns", "databases", "functions", "settings",
    "data_type_families", "formats", "table_engines", "database_engines", "table_functions", "keywords", "completions",
    "time_zones", "collations", "aggregate_function_combinators", "contributors", "licenses", "data_skipping_indices",
    "data_skipping_index_types", "codecs", "tokenizers", "unicode", "merge_tree_settings", "constraints", "projections",
    "metrics", "events", "primes", "documentation", "statements", "privileges", "settings_changes", "dictionaries",
    "current_roles", "enabled_roles",
}  # fmt: skip

# Our own tables: their names mean no table of `system`, so nobody needs to ask which database is the current one.
OWN_TABLES = {"ticks", "bars", "dead_letters", "instruments", "alerts"}

ENGINES = re.compile(r"\w*MergeTree|Memory|Null|Atomic|Log|TinyLog|StripeLog|Set|Join|View|MaterializedView")
ALTERS_REFUSED = re.compile(r"(UN)?FREEZE.*|FETCH_.*|EXPORT_.*|UNLOCK.*|MODIFY_DATABASE.*|.*NAMED_COLLECTION.*")

# Settings that reach out, or whose text the engine parses as SQL, a schema or a template by itself; refused for everyone.
SETTINGS_REFUSED = re.compile(
    r"format_schema|format_template_|format_avro_schema_registry|format_display_secrets|additional_|implicit_table|polyglot_|promql_"
    r"|dialect$|disk$|table_disk$|storage_policy$|url_base|user$|profile$|database$|select$|order$|sort$|filter$|page$"
    r"|parallel_replicas_custom_key|http_(allow_|response_headers|proxy)|allow_(introspection|python|named_collection|get_client)"
    r"|s3_|s3queue|azure_|hdfs_|iceberg_|delta_lake_|odbc_|ai_|webassembly|external_storage|cluster_for_parallel|filesystem_cache"
    r"|engine_file_|engine_url_|rename_files_after|chdb_|default_view_definer|.*(_path|_credentials|_sql_security|_proxy)$"
)
# What the reader may set: how a result looks and how it is computed. Anything else is a constraint violation (452).
SETTINGS_OF_READER = re.compile(
    # of EXPLAIN
    r"indexes|actions|header|description|json|graph|compact|optimize|oneline|passes|keep_\w+|sorting|projections|pretty"
    r"|(run|dump|query_tree)_(passes|ast|tree|query_tree_passes)|output_format_\w+|input_format_\w+|format_(csv|tsv|custom|regexp|binary|capn_proto_enum|json)\w*|date_time_\w+|session_timezone"
    r"|date_time_input_format|bool_\w+|join_\w+|any_join_\w+|partial_merge_\w+|group_by_\w+|optimize_\w+|query_plan_\w+"
    r"|enable_\w+|allow_(experimental|suspicious|prefetched|statistics|hyperscan)\w*|use_(uncompressed_cache|index_for_in\w*|skip_indexes\w*"
    r"|client_time_zone|variant_as_common_type)|prefer_\w+|cast_\w+|union_default_mode|except_default_mode|intersect_default_mode"
    r"|data_type_default_nullable|transform_null_in|final|limit|offset|extremes|totals_\w+|priority|log_comment|log_queries\w*"
    r"|compile_\w+|min_count_to_compile\w*|short_circuit_\w+|count_distinct_\w+|decimal_\w+|describe_\w+|show_\w+|formatdatetime_\w+"
    r"|parsedatetime_\w+|function_\w+|low_cardinality_\w+|legacy_\w+|aggregate_functions_null_for_empty|async_insert\w*"
    r"|wait_for_async_insert\w*|insert_(deduplicate|quorum|null_as_default|distributed_sync)\w*|mutations_sync|alter_sync"
    r"|connect_timeout\w*|(send|receive)_timeout|http_(send|receive)_timeout|http_connection_timeout|lock_acquire_timeout"
    r"|network_compression_method|network_zstd_\w+|stream_like_engine_\w+|compatibility|count_matches\w*|regexp_\w+|h3togeo\w*"
    r"|max_(block_size|final_threads|distinct\w+|rows_to_\w+|bytes_to_\w+|rows_in_\w+|bytes_in_\w+|result_rows|result_bytes|subquery_depth"
    r"|ast_elements|expanded_ast_elements|columns_to_read|bytes_before_external_\w+|bytes_ratio_before_external_\w+"
    r"|analyze_depth|pipeline_depth|parser_backtracks)|read_overflow_mode\w*|result_overflow_mode|sort_overflow_mode|limit_by_\w+"
    r"|distinct_overflow_mode|set_overflow_mode|merge_tree_\w+|read_in_order_\w+|exact_rows_before_limit|rows_before_aggregation"
    r"|asterisk_\w+|normalize_function_names|select_sequential_consistency|load_balancing|analyzer_\w+|validate_\w+|geo\w+"
    r"|single_join_prefer_left_table|splitby_\w+|variant_\w+|json_\w+|type_json_\w+|temporary_table_\w+|precise_float_parsing"
)
# Bounds of the reader: the gateway sets them, and a statement may only lower them (seconds, bytes, threads).
READER_LIMITS = {
    "max_execution_time": 60,
    "max_memory_usage": 600_000_000,
    "max_threads": 4,
    "max_temporary_data_on_disk_size_for_query": 1_000_000_000,
    "max_query_size": 262_144,
    "max_parser_depth": 1000,
    "max_ast_depth": 1000,
}


def is_refused_function(name: str) -> bool:
    """Whether a function, in any case, reaches out wherever it stands."""
    lower = name.lower()
    return lower in REFUSED_TABLE_FUNCTIONS or bool(_FUNCTIONS.fullmatch(lower))
