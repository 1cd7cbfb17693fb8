/*
 * config_options.h - the table of options; included with X defined, so it has
 * no include guard: it is a list.
 *
 *	X(id, key, flag, type, default, allowed, help)
 *
 * key	 in pinpipe.yaml, and in upper case after PINPIPE_ in the environment;
 *	 an option without a key is set by its flag only.
 * flag	 without its "--"; an option without a flag is set by file or
 *	 environment only.
 * allowed  the words of a CHOICE with | between them, or the range of a
 *	 number, "1..1024", in the units that its values take.
 */

/* Every command */
X(CONFIG, "", "config", CONFIG_PATH, "", "", "Configuration file (default: pinpipe.yaml, if it is there)")
X(CREDS, "creds", "creds", CONFIG_PATH, "", "", "Credentials file (default: db_creds.yaml, if it is there)")
X(DIR, "dir", "dir", CONFIG_PATH, "pinpipe-data", "", "Directory that holds the log, the lake and the tables")
X(ID, "id", "id", CONFIG_TEXT, "124df56aef51", "", "User id that prefixes every topic, stream and table")
X(VERBOSE, "verbose", "verbose", CONFIG_CHOICE, "info", "error|warn|info|debug", "How much to say on stderr")
X(LOG_FORMAT, "log_format", "log-format", CONFIG_CHOICE, "text", "text|json|logfmt",
  "Lines on stderr: for people, or one JSON object or one logfmt line each")
X(FORMAT, "format", "format", CONFIG_CHOICE, "auto", "auto|table|json|csv|parquet",
  "Output: auto is table on a terminal, else json; parquet: of one analysis")
X(MODELS, "models", "models", CONFIG_PATH, "", "", "Directory of the SQL models (default: the one installed beside the program)")

/* What does the work, by name */
X(BROKER, "broker.kind", "broker", CONFIG_CHOICE, "local", "local|kafka", "Where topics are: the log of --dir, or a Kafka cluster, which kafka: names")
X(STREAMS, "streams.kind", "streams", CONFIG_CHOICE, "local", "local", "Where streams are: the log of --dir")
X(ENGINE, "engine.kind", "engine", CONFIG_CHOICE, "duckdb", "duckdb|spark", "What runs the SQL models of batch and of questions; stream always uses duckdb")

/* Gateway */
X(LISTEN, "gateway.listen", "listen", CONFIG_TEXT, "127.0.0.1:8082", "", "Address and port; port 0 takes a free one")
X(LISTEN_ALSO, "gateway.listen_also", "listen-also", CONFIG_TEXT, "", "",
  "More addresses, with semicolons; behind one what it has, if not all: kafka,kinesis,page,ops")
X(INSECURE, "gateway.insecure", "insecure", CONFIG_BOOL, "false", "", "Allow another address than loopback without an API key")
X(API_KEY_HASH, "gateway.api_key_sha256", "", CONFIG_TEXT, "", "", "SHA-256 (hex) of the key that clients send as x-api-key")
X(KEYS, "gateway.keys", "", CONFIG_PATH, "", "",
  "File of more keys, each with a name and its scopes; read anew when it changes")
X(TLS_CERT, "gateway.tls_cert", "tls-cert", CONFIG_PATH, "", "", "Certificate chain, PEM; turns TLS on")
X(TLS_KEY, "gateway.tls_key", "tls-key", CONFIG_PATH, "", "", "Private key, PEM")
X(STAGES, "gateway.stages", "", CONFIG_TEXT, "prod,dev,test", "", "Stages that may stand before any path, with commas; before /topics/ and /streams/ any segment may")
X(HOSTS, "gateway.hosts", "", CONFIG_TEXT, "", "", "Names that a Host header may hold where no API key is asked for, with commas, beside addresses and localhost; *: any")
X(CORS_ORIGINS, "gateway.cors_origins", "", CONFIG_TEXT, "", "", "Web pages that may use the gateway, by origin (https://app.example), with commas; *: all")
X(CLIENT_HEADER, "gateway.client_header", "", CONFIG_TEXT, "", "", "Header in which a proxy names its client, X-Forwarded-For: it is believed, and requests in flight are bounded for each")
X(COMPAT_STATUS, "gateway.compat_status", "compat-status", CONFIG_CHOICE, "strict", "strict|confluent", "Status when every record failed: 503, or 200 as the original proxy")
X(KINESIS_STATUS, "gateway.kinesis_status", "kinesis-status", CONFIG_CHOICE, "mapped", "mapped|200", "Status of Kinesis errors on /streams: their own, or 200 as the original API")
X(AUTO_CREATE, "gateway.auto_create", "auto-create", CONFIG_CHOICE, "own", "none|own|any", "Create a missing topic or stream: never, the three of --id, or any")
X(PARTITIONS, "gateway.partitions", "partitions", CONFIG_INT, "1", "1..1024", "Partitions of a topic that is created on its own")
X(SHARDS, "gateway.shards", "shards", CONFIG_INT, "1", "1..1024", "Shards of a stream that is created on its own")
X(BODY_MAX, "gateway.body_bytes_max", "", CONFIG_BYTES, "10MiB", "1KiB..1GiB", "Largest request body")
X(RECORD_MAX, "gateway.record_bytes_max", "", CONFIG_BYTES, "1MiB", "1KiB..16MiB", "Largest record, key and value")
X(CONNECTIONS_MAX, "gateway.connections_max", "", CONFIG_INT, "10000", "1..1000000", "Open connections")
X(CONNECTIONS_IP_MAX, "gateway.connections_per_ip_max", "", CONFIG_INT, "0", "0..1000000", "Open connections of one address; 0: 256, loopback unbounded")
X(HEADER_TIMEOUT, "gateway.header_timeout", "", CONFIG_MS, "10s", "10ms..1h", "From a request's first byte to the end of its headers")
X(BODY_TIMEOUT, "gateway.body_timeout", "", CONFIG_MS, "60s", "10ms..1d", "For a body; past 10 s of it, 1 KiB a second must come")
X(WRITE_TIMEOUT, "gateway.write_timeout", "", CONFIG_MS, "30s", "10ms..1h", "For a client to take more of its answer")
X(IDLE_TIMEOUT, "gateway.idle_timeout", "", CONFIG_MS, "60s", "10ms..1d", "Between the requests of a connection")
X(TAKEOVER, "", "takeover", CONFIG_BOOL, "false", "",
  "Take over from the one that runs on the directory, which ends; no request is refused")
X(ROUTES, "", "routes", CONFIG_BOOL, "false", "", "Print the routes and end")

/* Log */
X(INFLIGHT_MAX, "log.inflight_bytes_max", "", CONFIG_BYTES, "64MiB", "1MiB..16GiB", "Memory of records taken and not yet durable; past it clients get 503")
X(SEGMENT_BYTES, "log.segment_bytes", "", CONFIG_BYTES, "64MiB", "1MiB..2GiB", "Size of a segment file")
X(RETENTION, "log.retention", "", CONFIG_MS, "7d", "0..3650d", "Age at which records may go once sink and stream have taken them; 0: never")
X(RETENTION_BYTES, "log.retention_bytes", "", CONFIG_BYTES, "0", "0..1PiB", "Size of the log above which the oldest go once sink and stream have taken them; 0: no bound")
X(DISK_RESERVE, "log.disk_reserve_bytes", "", CONFIG_BYTES, "256MiB", "0..1TiB", "Free disk space below which clients get 503; likewise below a hundredth of the inodes; 0: neither")

/* Emulate */
X(SOURCE, "source.kind", "source", CONFIG_CHOICE, "auto", "auto|generated|files|mysql", "Where rows come from; auto: files if --data is given; mysql: the database of mysql.*")
X(DATA, "source.data", "data", CONFIG_PATH, "", "", "Directory with pin.ndjson, geo.ndjson, user.ndjson or some of them")
X(MYSQL_HOST, "mysql.host", "", CONFIG_TEXT, "", "", "Host of the database that holds the posts (HOST in db_creds.yaml)")
X(MYSQL_PORT, "mysql.port", "", CONFIG_INT, "3306", "1..65535", "Its port (PORT)")
X(MYSQL_USER, "mysql.user", "", CONFIG_TEXT, "", "", "User there (USER)")
X(MYSQL_PASSWORD, "mysql.password", "", CONFIG_SECRET, "", "", "Password of that user (PASSWORD)")
X(MYSQL_DATABASE, "mysql.database", "", CONFIG_TEXT, "", "", "Database with the tables pinterest_data, geolocation_data and user_data (DATABASE)")
X(MYSQL_SOCKET, "mysql.socket", "", CONFIG_PATH, "", "", "Its Unix socket, in the place of host and port")
X(MYSQL_TLS, "mysql.tls", "", CONFIG_CHOICE, "auto", "auto|off|required|verify", "Encryption: required of whatever server, or verify with its certificate; auto: verify if mysql.ca_file is set, else off")
X(MYSQL_CA_FILE, "mysql.ca_file", "", CONFIG_PATH, "", "", "Certificates to trust, PEM (default: the system's)")
X(MYSQL_TIMEOUT, "mysql.timeout", "", CONFIG_MS, "60s", "100ms..1d", "For the database to go on with an answer (to connect: 10 s at most)")
X(MYSQL_RETRY_FOR, "mysql.retry_for", "", CONFIG_MS, "60s", "0ms..30d", "How long a database that has gone away is asked again")
X(MYSQL_MEMORY, "mysql.memory_bytes_max", "", CONFIG_BYTES, "1GiB", "1MiB..1TiB", "Memory for the rows of tables that have no key, and for keys")
X(ROWS, "source.rows", "rows", CONFIG_INT, "11154", "1..1000000000", "Rows of the generated source")
X(URL, "emulate.url", "url", CONFIG_TEXT, "", "", "Where batch posts go (default: http://<gateway.listen>/topics/<id>.); of a gateway alone the rest is added")
X(STREAMING_URL, "emulate.streaming_url", "streaming-url", CONFIG_TEXT, "", "", "Where streaming posts go (default: …/streams/streaming-<id>-); likewise")
X(API_KEY, "emulate.api_key", "", CONFIG_SECRET, "", "", "API key that the emulator sends as x-api-key")
X(CA_FILE, "emulate.ca_file", "ca-file", CONFIG_PATH, "", "", "Certificates to trust for https")
X(STREAMING, "", "streaming", CONFIG_BOOL, "false", "", "Post to the streams instead of the topics")
X(POSTS, "", "posts", CONFIG_INT, "0", "0..1000000000000",
  "How many posts; 0: each row of --data once, else without end")
X(RUN_POSTS, "", "posts", CONFIG_INT, "0", "0..1000000000000",
  "How many posts; 0: each row of --data once, else 1000")
X(RATE, "", "rate", CONFIG_TEXT, "", "", "Posts a second, or max (default: as the original, 0 to 2 s apart; rows of --data: max)")
X(ORDER, "", "order", CONFIG_CHOICE, "auto", "auto|course|random|rows", "Rows in order, as the course draws them, or at random; auto: rows of --data, else random")
X(SEED, "", "seed", CONFIG_INT, "100", "0..9223372036854775807", "Seed of the order and of generated rows")
X(BATCH_SIZE, "", "batch-size", CONFIG_INT, "1", "1..100000", "Records a request")
X(CONNECTIONS, "emulate.connections", "connections", CONFIG_INT, "8", "1..4096", "Requests in flight")
X(RETRY_FOR, "emulate.retry_for", "retry-for", CONFIG_MS, "60s", "0ms..30d", "How long a record that was not acknowledged is sent again")

/* Lake and sink */
X(LAKE, "lake", "lake", CONFIG_TEXT, "", "", "Where objects and tables go, a directory, file:DIR or s3://BUCKET/PREFIX (default: file:<dir>/lake)")
X(CREATE, "", "create", CONFIG_BOOL, "false", "", "Make the directory of --lake if it is not there")
X(S3_ENDPOINT, "s3.endpoint", "", CONFIG_TEXT, "", "", "URL of what speaks as S3 does (default: AWS_ENDPOINT_URL_S3 and its like, else AWS)")
X(S3_REGION, "s3.region", "", CONFIG_TEXT, "", "", "Region of the bucket (default: AWS_REGION and its like, else us-east-1)")
X(S3_PATH_STYLE, "s3.path_style", "", CONFIG_CHOICE, "auto", "auto|true|false", "The bucket is in the path, not in the host's name; auto: unless it is AWS")
X(S3_SSE, "s3.sse", "", CONFIG_TEXT, "", "", "How the store is to encrypt objects: AES256, aws:kms or aws:kms:dsse (default: as the bucket says)")
X(S3_KMS_KEY, "s3.kms_key", "", CONFIG_TEXT, "", "", "Key of AWS KMS for that")
X(S3_CACHE_BYTES, "s3.cache_bytes_max", "", CONFIG_BYTES, "10GiB", "16MiB..64TiB", "Most bytes of objects that are kept in <dir>/cache")
X(FLUSH_SIZE, "sink.flush.size", "flush-size", CONFIG_INT, "1000", "1..10000000", "Records an object")
X(FLUSH_BYTES, "sink.flush_bytes", "flush-bytes", CONFIG_BYTES, "8MiB", "1KiB..1GiB", "Bytes an object")
X(FLUSH_AGE, "sink.flush_age", "flush-age", CONFIG_MS, "60s", "1ms..24h", "Age of the oldest record at which an object is written")
X(ROTATE_INTERVAL, "sink.rotate.interval.ms", "", CONFIG_INT, "0", "0..31536000000", "Milliseconds by which the newest of the records' times may move on, or the clock, before objects are written; 0: any")
X(ROTATE_SCHEDULE, "sink.rotate.schedule.interval.ms", "", CONFIG_INT, "0", "0..86400000", "Milliseconds between the marks of the local clock, from midnight on, at which objects are written; 0: none")
X(PATH_FORMAT, "sink.path.format", "path-format", CONFIG_TEXT, "", "", "Folders of objects by time, such as 'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH; none: partition=<p>")
X(PARTITION_DURATION, "sink.partition.duration.ms", "", CONFIG_INT, "3600000", "1..31536000000", "Milliseconds that a folder of path.format spans")
X(TIMEZONE, "sink.timezone", "", CONFIG_TEXT, "UTC", "", "Time zone of path.format and of the clock's marks, such as Europe/Berlin")
X(EXTRACTOR, "sink.timestamp.extractor", "", CONFIG_CHOICE, "Wallclock", "Wallclock|Record|RecordField", "Which time a record is of: when it is written, its own in the log, or a field of its value")
X(TIMESTAMP_FIELD, "sink.timestamp.field", "", CONFIG_TEXT, "timestamp", "", "That field; a.b is b in a. Milliseconds since 1970 or ISO 8601")
X(COMPRESSION, "sink.s3.compression.type", "compression", CONFIG_CHOICE, "none", "none|gzip", "How objects are packed")
X(STORE_KEYS, "sink.store.kafka.keys", "", CONFIG_BOOL, "false", "", "Put the records' keys beside each object, as ….keys.json")
X(STORE_HEADERS, "sink.store.kafka.headers", "", CONFIG_BOOL, "false", "", "Put the records' headers beside each object, as ….headers.json")
X(NULL_VALUES, "sink.behavior.on.null.values", "", CONFIG_CHOICE, "letter", "letter|ignore|fail", "A record without a value is a dead letter, is passed over, or stops its partition")
X(SINK_GROUP, "sink.group", "", CONFIG_TEXT, "", "", "Group of consumers that the sinks of one lake are in (default: sink; of a cluster pinpipe-<id>-sink-<hash of where the lake is>)")
X(TOPICS, "sink.topics", "", CONFIG_TEXT, "", "", "Topics that go into the lake besides those of sink.take, with commas: names, or patterns with * and ?")
X(CONNECTOR, "sink.connector", "connector", CONFIG_PATH, "", "", "Properties file of a Confluent S3 sink connector, whose settings are used")
X(NEW_HISTORY, "new_history", "new-history", CONFIG_CHOICE, "stop", "stop|continue", "A topic or stream whose positions begin again: it stops, or goes on as the next generation")
X(TAKE, "sink.take", "take", CONFIG_CHOICE, "auto", "auto|all|models|named", "Topics that go into the lake; auto: all of a log in --dir, of a cluster those of the models")

/* Tables */
X(FILE_SIZE, "table.file_size", "file-size", CONFIG_BYTES, "128MiB", "64KiB..16GiB", "Size up to which files of a table become one; those of half of it stay as they are")
X(TABLE_KEEP, "table.retention", "", CONFIG_MS, "0ms", "0ms..3650d", "How long a table keeps data files that its latest version has not; 0ms: 1h, those of batch 7d")
X(TABLE_KEEP_LOG, "table.log_retention", "", CONFIG_MS, "0ms", "0ms..3650d", "How long a table keeps the log of versions before its latest; 0ms: 1h, those of batch 7d")
X(TABLE_CHECKPOINT, "table.checkpoint_commits", "", CONFIG_INT, "0", "0..1000000", "Commits after which a table gets a checkpoint, a stream's own after three times as many; 0: 50, those of batch 10; more for a large table")

/* What else is kept */
X(RAW_KEEP, "raw.retention", "", CONFIG_MS, "0ms", "0ms..36500d", "How long raw objects are kept that all tables of their topic have; 0: for ever")
X(LETTERS_KEEP, "letters.retention", "", CONFIG_MS, "0ms", "0ms..36500d", "How long dead letters are kept that their table has passed, whether replayed or not; 0: for ever")

/* Stream, batch, analyses */
X(TABLE_ROWS, "stream.rows_max", "", CONFIG_INT, "200000", "1..10000000", "Rows of a micro-batch")
X(TABLE_BYTES, "stream.bytes_max", "", CONFIG_BYTES, "32MiB", "64KiB..1GiB", "Raw bytes of a micro-batch")
X(TABLE_AGE, "stream.age", "stream-age", CONFIG_MS, "250ms", "1ms..1h", "How long a micro-batch waits for more (lake in a bucket: 1s, as each one is paid for)")
X(ENGINE_MEMORY, "engine.memory", "", CONFIG_BYTES, "1GiB", "64MiB..1TiB", "Memory limit of the SQL engine, each process")
X(ENGINE_THREADS, "engine.threads", "", CONFIG_INT, "0", "0..1024", "Threads of the SQL engine; 0: one a core")
X(ENGINE_SUBMIT, "engine.spark_submit", "", CONFIG_PATH, "", "", "Spark's spark-submit (default: that of SPARK_HOME, else the one on PATH)")
X(ENGINE_EXCHANGE, "engine.exchange", "", CONFIG_TEXT, "", "", "Where pinpipe and Spark hand each other files, a directory or s3://BUCKET/PREFIX that every executor reaches (default: <dir>/tmp)")
X(ENGINE_START, "engine.start_timeout", "", CONFIG_MS, "5m", "1s..24h", "How long Spark may take to be ready")
X(ENGINE_TIMEOUT, "engine.timeout", "", CONFIG_MS, "0ms", "0ms..30d", "How long one statement may take on Spark; 0: no bound")
X(SCHEDULE, "batch.every", "batch-every", CONFIG_MS, "60s", "10ms..30d", "How often `up` runs the batch")
X(CRON, "batch.schedule", "batch-schedule", CONFIG_SCHEDULE, "", "1s..30d", "When `up` runs the batch, in place of batch.every: an interval (15m) or a cron expression (\"0 2 * * *\")")
X(BATCH_ZONE, "batch.timezone", "batch-timezone", CONFIG_ZONE, "UTC", "", "Time zone of the cron expression, as Europe/Berlin")
X(BY, "", "by", CONFIG_CHOICE, "command", "command|every|schedule|airflow|page", "What started it, for `pinpipe runs`")
X(DEMO, "", "demo", CONFIG_BOOL, "false", "", "Made-up rows, a few a second, until the end")
X(RESTART_AFTER, "up.restart_after", "", CONFIG_MS, "200ms", "1ms..1h", "How long `up` waits before it starts again what ended; twice as long each time")
X(RESTART_MAX, "up.restart_max", "", CONFIG_MS, "30s", "1ms..24h", "The longest that `up` waits for that")
X(MAINTAIN_EVERY, "maintain.every", "maintain-every", CONFIG_MS, "1s", "0ms..1h", "How often growing tables are looked at (lake in a bucket: 10s); 0: `up` runs no maintain")
X(MAINTAIN_MEMORY, "maintain.memory", "", CONFIG_BYTES, "512MiB", "64MiB..1TiB", "Memory limit of the SQL engine of maintain and optimize")
X(FROM, "", "from", CONFIG_CHOICE, "auto", "auto|batch|stream|both|live|batch-live",
  "Which tables; live: and the log beyond them; auto: to a question the path with rows, else both")
X(DROP_UNREACHABLE, "", "drop-unreachable", CONFIG_BOOL, "false", "", "Let go of rows whose records are not there any more")
X(UNTIL_END, "", "until-end", CONFIG_BOOL, "false", "", "Stop when all that is in the log now is done")

/* Looking inside */
X(SQL_FILE, "", "file", CONFIG_PATH, "", "", "Take the statements from this file")
X(ROWS_MAX, "", "rows", CONFIG_INT, "0", "0..10000000", "Rows of an answer at most; 0: all")
X(LIST, "", "list", CONFIG_BOOL, "false", "",
  "Show which analyses there are, in place of their answers")
X(CHECK, "", "check", CONFIG_BOOL, "false", "", "Tell every fault of the models, with its file and line")
X(START, "", "from", CONFIG_TEXT, "beginning", "", "beginning, end, an offset, -N (the last N), @milliseconds since 1970 or @2022-03-01T12:30Z")
X(SETTINGS, "", "settings", CONFIG_BOOL, "false", "", "How the topic is kept, in place of its partitions")
X(REPLICAS, "", "replicas", CONFIG_INT, "0", "0..32767", "Copies of each partition of a topic that is created; 0: as many as the broker makes")
X(METRICS_LISTEN, "", "metrics-listen", CONFIG_TEXT, "", "", "Serve /metrics at this address and port, without a key, where no gateway does")
X(WATCH, "", "watch", CONFIG_BOOL, "false", "", "Once a second anew, until Ctrl-C")
X(BEHIND, "", "behind", CONFIG_MS, "60s", "1s..30d", "How much later than its own pace a topic or table may be and all is well")
X(HISTORY, "", "history", CONFIG_BOOL, "false", "", "Show what the last commits did, in place of how the tables are")
X(RUNS, "", "limit", CONFIG_INT, "20", "1..1000", "The newest so many")
X(COUNT, "", "count", CONFIG_INT, "0", "0..9223372036854775807", "Stop after so many; 0: all")
X(TO, "", "to", CONFIG_TEXT, "", "", "Where the copy goes; a name that is not there yet")
X(FROM_LAKE, "", "from-lake", CONFIG_BOOL, "false", "", "Make the log of what the lake has")
X(DRY_RUN, "", "dry-run", CONFIG_BOOL, "false", "", "Say what would be done, and do nothing")
X(DROP_UNFINISHED, "", "drop-unfinished", CONFIG_BOOL, "false", "", "Take away objects that a sink had begun to put together and nobody can complete")
X(REPLACE, "", "replace", CONFIG_BOOL, "false", "", "Take the new where the destination has other objects, or tables, of the names")
X(CONTAINS, "", "contains", CONFIG_TEXT, "", "",
  "Only records whose key or value holds this text, byte for byte")
X(FOLLOW, "", "follow", CONFIG_BOOL, "false", "", "Wait for more at the end")
X(ALL, "", "all", CONFIG_BOOL, "false", "", "Also the dead letters that a replay made rows")
X(TOPIC, "", "topic", CONFIG_TEXT, "", "", "Only of this topic or stream")
X(REASON, "", "reason", CONFIG_TEXT, "", "", "Only letters whose reason holds this text; # is any number, … anything")
X(SINCE, "", "since", CONFIG_MS, "0", "0ms..36500d", "Only letters no older than this (2h); 0: all")
