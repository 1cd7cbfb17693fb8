"""The Spark that tools/interop/install brought, for `--engine spark`."""

import conftest

CACHE = conftest.TOP / ".cache" / "interop"


def environment(**settings):
    """Of a pinpipe whose engine it is: its memory and threads are a small machine's."""
    home = next((CACHE / "venv" / "lib").glob("python3*")) / "site-packages" / "pyspark"
    return {"SPARK_HOME": str(home), "PYSPARK_PYTHON": str(CACHE / "venv" / "bin" / "python"),
            "PINPIPE_ENGINE_KIND": "spark", "PINPIPE_ENGINE_THREADS": "2",
            "PINPIPE_SPARK__driver_extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", **settings}
