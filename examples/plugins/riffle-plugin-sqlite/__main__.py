"""An exporter that keeps spans in an SQLite database, where SQL finds them."""
import json
import sqlite3
import threading

import riffle_plugin


class Sqlite(riffle_plugin.Exporter):
    "keeps spans in an SQLite database"
    schema = {"type": "object", "additionalProperties": False, "required": ["file"],
              "properties": {"file": {"type": "string", "description": "path of the database; required"}}}

    def open(self):
        self.endpoint, self.lock = self.config["file"], threading.Lock()
        try:
            self.db = sqlite3.connect(self.endpoint, check_same_thread=False)
            self.db.execute("CREATE TABLE IF NOT EXISTS spans (trace, span, parent, service, name, start, seconds,"
                            " error, attributes, PRIMARY KEY (trace, span))")
        except sqlite3.Error as e:
            raise riffle_plugin.ConfigError("file", f"{self.endpoint}: {e}")

    def export(self, spans):
        rows = [(s.span.trace_id.hex(), s.span.span_id.hex(), s.span.parent_span_id.hex(), s.resource.get("service.name"),
                 s.span.name, s.span.start_time_unix_nano / 1e9, (s.span.end_time_unix_nano - s.span.start_time_unix_nano) / 1e9,
                 s.span.status.code == 2, json.dumps(riffle_plugin.attributes(s.span.attributes), default=bytes.hex)) for s in spans]
        try:  # the same spans again, after an answer that was lost, do no harm
            with self.lock, self.db:
                self.db.executemany("INSERT OR REPLACE INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.OperationalError as e:  # locked, or the disk is full
            raise riffle_plugin.Retry(str(e))

    def close(self):
        self.db.close()


if __name__ == "__main__":
    riffle_plugin.main("sqlite", "1.0", Sqlite)
