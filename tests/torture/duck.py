"""Reads Parquet through libduckdb's C API, so that the checker shares nothing with the program's own reader."""
import ctypes
import pathlib

LIBRARY = pathlib.Path(__file__).resolve().parents[2] / ".cache" / "duckdb" / "libduckdb.so"


class Result(ctypes.Structure):
    _fields_ = [("columns", ctypes.c_uint64), ("rows", ctypes.c_uint64), ("changed", ctypes.c_uint64),
                ("deprecated_columns", ctypes.c_void_p), ("message", ctypes.c_char_p), ("internal", ctypes.c_void_p)]


class Duck:
    def __init__(self):
        lib = ctypes.CDLL(str(LIBRARY))
        lib.duckdb_value_varchar.restype = ctypes.c_void_p
        lib.duckdb_value_varchar.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
        lib.duckdb_result_error.restype = ctypes.c_char_p
        self.lib = lib
        self.database, self.connection = ctypes.c_void_p(), ctypes.c_void_p()
        assert lib.duckdb_open(None, ctypes.byref(self.database)) == 0
        assert lib.duckdb_connect(self.database, ctypes.byref(self.connection)) == 0

    def value(self, sql):
        """The first value of a statement's result as text; None: null, or no row."""
        result = Result()
        if self.lib.duckdb_query(self.connection, sql.encode(), ctypes.byref(result)) != 0:
            raise RuntimeError(self.lib.duckdb_result_error(ctypes.byref(result)).decode())
        text = self.lib.duckdb_value_varchar(ctypes.byref(result), 0, 0)
        found = ctypes.string_at(text).decode() if text else None
        self.lib.duckdb_free(ctypes.c_void_p(text))
        self.lib.duckdb_destroy_result(ctypes.byref(result))
        return found

    def lines(self, sql):
        """All values of a query with one column of texts without newlines; a call a value would take too long."""
        text = self.value(f"SELECT string_agg(line, chr(10)) FROM ({sql}) AS lines(line)")
        return text.split("\n") if text else []

    def close(self):
        self.lib.duckdb_disconnect(ctypes.byref(self.connection))
        self.lib.duckdb_close(ctypes.byref(self.database))
