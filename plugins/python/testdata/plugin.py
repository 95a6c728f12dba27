#!/usr/bin/python3
"""A plugin for the tests of riffle_plugin, which lies in the directory above."""
import os
import sys

# A host runs a copy, and says where it found the file.
sys.path.insert(0, os.path.dirname(os.environ.get("RIFFLE_PLUGIN_DIR") or os.path.dirname(os.path.abspath(__file__))))
import riffle_plugin


class Share(riffle_plugin.Sampler):
    """keeps a share of the traces of each tenant

    Only the first line is shown."""

    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"share": {"type": "number", "default": 0.5}},
    }
    keys = ("tenant.id",)
    ttl = 2.5

    def open(self):
        if not 0 <= self.config["share"] <= 1:
            raise riffle_plugin.ConfigError("share", f"{self.config['share']} is no share: want 0 to 1")

    def description(self):
        return f"share {self.config['share']}"

    def answer(self, name, kind, attributes, starts):
        tenant = attributes.get("tenant.id")
        if tenant == "change":
            self.changed()
        if tenant is None:
            return riffle_plugin.abstain()
        if tenant == "drop":
            return riffle_plugin.drop("unwanted")
        return riffle_plugin.keep(self.config["share"], f"tenant {tenant}")


class Thin(riffle_plugin.SegmentSampler):
    "thins out what nobody looks at"

    keys = ("tenant.id",)
    spans = True

    def answer(self, segment):
        if not segment.HasField("root"):
            return riffle_plugin.abstain()
        if any(s.span.name == "payment" and s.resource.get("service.name") == "shop" for s in riffle_plugin.exported(segment.otlp)):
            return riffle_plugin.keep(1, "a payment")
        tenant = riffle_plugin.attributes(segment.root.attributes).get("tenant.id")
        if tenant == "bot":
            return riffle_plugin.at_most(0)
        return riffle_plugin.at_most(0.5) if tenant else riffle_plugin.abstain()


class Bound(riffle_plugin.SegmentSampler):
    "bounds what is kept of every segment to the sample of its entry"

    needs_sample = True

    def answer(self, segment):
        return riffle_plugin.at_most(1)


class FailsOften(riffle_plugin.Exporter):
    "fails as its configuration says"

    schema = {"type": "object", "additionalProperties": False, "properties": {"how": {"type": "string"}}}

    def export(self, spans):
        print("a line for the log")
        self.log.warning("spans: %s", [s.span.name for s in spans])
        how = self.config.get("how")
        if how == "retry":
            raise riffle_plugin.Retry("the backend is busy")
        if how == "lose":
            raise ValueError("no such table")


if __name__ == "__main__":
    riffle_plugin.main("test", "1.0", Share, Thin, Bound, FailsOften)
