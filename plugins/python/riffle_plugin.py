"""Exporters and samplers for riffle in Python: one file to put beside a plugin.

    import riffle_plugin

    class Names(riffle_plugin.Exporter):
        "logs the names of spans"

        def export(self, spans):
            for s in spans:
                self.log.info("%s: %s", s.resource.get("service.name"), s.span.name)

    if __name__ == "__main__":
        riffle_plugin.main("names", "1.0", Names)

It needs Python 3.9 and the packages grpc, google.protobuf and cryptography:
Debian's python3-grpcio, python3-protobuf and python3-cryptography. A grpc that
brings its own TLS library, as wheels do, refuses the certificates of hosts.

docs/plugins-languages.md tells what a host expects of a plugin, and why.
"""

import base64
import collections
import concurrent.futures
import contextlib
import datetime
import functools
import itertools
import json
import logging
import math
import os
import re
import signal
import sys
import tempfile
import threading
import zlib

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

COOKIE = ("RIFFLE_PLUGIN", "riffle.plugin.v1")
VERSION = 1
MAX_MESSAGE = 64 << 20
LAST_WORK = 1  # seconds that calls have to finish when their instance is closed


# What authors use.


class ConfigError(Exception):
    """A mistake in the configuration. The host shows the user its line."""

    def __init__(self, path, message):
        super().__init__(message)
        self.path = path


class Retry(Exception):
    """What stopped an export may pass: the host tries again."""


class Component:
    """What a plugin serves. Each entry of a configuration is an instance. The
    doc string is the line that lists show."""

    # JSON Schema of the configuration. Only properties with their types and
    # defaults, and required, are checked here; open checks the rest.
    schema = {"type": "object", "properties": {}, "additionalProperties": False}

    def open(self):
        """Called once, with self.config and self.log. Raises ConfigError."""

    def close(self):
        """Called once, at the end, also when the host is gone, and never while
        another method is."""


class Exporter(Component):
    """Delivers spans."""

    endpoint = ""  # where to, for people

    def export(self, spans):
        """Returns when the spans are delivered: a list of Exported. It may be
        called concurrently. Raises Retry if it is worth another attempt; any
        other exception loses the spans."""
        raise NotImplementedError

    def flush(self):
        """Delivers what export has only kept. Better is not to keep any."""


Exported = collections.namedtuple("Exported", "span resource scope")
Exported.__doc__ = "A span in OTLP, the attributes of its resource, and its scope."


class Sampler(Component):
    """Decides when a local root starts. It is asked ahead of time, and its
    answers are leased: they may depend on keys, the name and the kind only."""

    keys = ()  # attributes
    ttl = 0  # seconds that an answer holds; 0: until changed is called
    may_drop = True
    needs_sample = False  # whether the configuration says the share: keep(1) is that then

    def description(self):
        return type(self).__name__

    def answer(self, name, kind, attributes, starts):
        """Returns abstain(), drop() or keep(share). starts is how many spans
        like this started since the last time. It may be called concurrently."""
        raise NotImplementedError

    def changed(self):
        """Makes the host ask again about everything."""
        with self._changes:
            self._version += 1
            self._changes.notify_all()


class SegmentSampler(Component):
    """Decides when a segment is complete or overdue: a local root and everything
    below it in the host's process."""

    keys = ()  # attributes of the local root that it is told
    spans = False  # whether it is told the spans, too
    never_raises = False  # whether it never answers at_most
    needs_sample = False  # whether the configuration says the share: keep(1) and at_most(1) are that then

    def description(self):
        return type(self).__name__

    def answer(self, segment):
        """Returns abstain(), keep(share) or at_most(share). segment is the message
        Segment; it has no root if that has not ended. attributes and exported
        read segment.root.attributes and segment.otlp. It may be called
        concurrently."""
        raise NotImplementedError


def abstain():
    return pb("Answer")()


def drop(reason=""):
    return pb("Answer")(verdict="VERDICT_DROP", reason=reason)


def keep(share, reason=""):
    """Keeps a share of the traces, 0 to 1. With 0 they are watched."""
    return pb("Answer")(verdict="VERDICT_THRESHOLD", threshold=threshold(share), reason=reason)


def at_most(share, reason=""):
    """Keeps a segment with at most this probability, whatever others said. With 0
    it is discarded."""
    return pb("Answer")(verdict="VERDICT_AT_MOST", threshold=threshold(share), reason=reason)


def exported(otlp):
    """The spans in the bytes of OTLP's TracesData: a list of Exported."""
    return spans_of(message("opentelemetry.proto.trace.v1.TracesData").FromString(otlp))


def spans_of(data):
    return [
        Exported(span, resource, scoped.scope)
        for r in data.resource_spans
        for resource in [attributes(r.resource.attributes)]
        for scoped in r.scope_spans
        for span in scoped.spans
    ]


def attributes(pairs):
    """The attributes of OTLP as a dict of plain values."""
    return {kv.key: value(kv.value) for kv in pairs}


def value(v):
    which = v.WhichOneof("value")
    if which == "array_value":
        return [value(e) for e in v.array_value.values]
    if which == "kvlist_value":
        return attributes(v.kvlist_value.values)
    return getattr(v, which) if which else None


def threshold(share):
    """The rejection threshold, to as many digits as the specification says."""
    if not 0 <= share <= 1:
        raise ValueError(f"{share} is no share: want 0 to 1")
    if share in (0, 1):
        return 0 if share else 1 << 56
    share = max(share, 2.0**-56)
    shift = 4 * (14 - min(14, 4 + -math.frexp(share)[1] // 4))
    t = (1 << 56) - round(share * (1 << 56))
    return (t + (1 << shift >> 1)) >> shift << shift


def main(name, version, *components):
    """Serves the classes until the host ends or closes its end of stdin."""
    plugin = Plugin(name, version, components)
    if sys.argv[1:] == ["--describe"]:
        print(json.dumps(plugin.described(), indent=2))
    elif os.environ.get(COOKIE[0]) != COOKIE[1] or len(sys.argv) > 1:
        served = ", ".join(c.name for c in plugin.description.components)
        print(
            f"{name} {version} is a plugin of riffle with: {served}\n"
            "It is started by the programs whose configuration names it:\n\n"
            f"  - type: plugin\n    plugin: {name}\n\n"
            "--describe prints what it serves.",
            file=sys.stderr,
        )
        sys.exit(2)
    else:
        logging.basicConfig(level=logging.DEBUG, handlers=[HostLog()])
        serve(plugin)


# The services.


class Plugin:
    """The instances of one process."""

    def __init__(self, name, version, classes):
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)
        self.instances = {}
        self.classes = {}
        self.description = pb("DescribeResponse")(name=name, version=version)
        for c in classes:
            kind = "KIND_EXPORTER" if issubclass(c, Exporter) else "KIND_SAMPLER"
            described = self.description.components.add(
                kind=kind, name=component_name(c), version=version, doc=component_doc(c), config_schema=json.dumps(c.schema)
            )
            self.classes[described.kind, described.name] = c

    def described(self):
        return {
            "name": self.description.name,
            "version": self.description.version,
            "protocol": VERSION,
            "components": [
                {
                    "kind": "exporter" if kind == 1 else "sampler",
                    "name": name,
                    "doc": component_doc(c),
                    "config_schema": c.schema,
                }
                for (kind, name), c in self.classes.items()
            ],
        }

    def describe(self, request, context):
        return self.description

    def configure(self, request, context):
        c = self.classes.get((request.kind, request.component))
        if c is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no component {request.component!r}")
        response = pb("ConfigureResponse")()
        instance = c()
        instance.log = logging.getLogger(request.id or request.component)
        instance._changes, instance._version = threading.Condition(), 0
        instance._closed, instance._users = False, 0
        try:
            instance.config = checked(c.schema, request.config)
            instance.open()
        except ConfigError as e:
            response.errors.add(path=e.path, message=str(e))
            return response
        with self.lock:
            response.instance = str(next(self.numbers))
            self.instances[response.instance] = instance
        if issubclass(c, Exporter):
            response.exporter.endpoint = instance.endpoint
        elif issubclass(c, SegmentSampler):
            response.sampler.description = instance.description()
            response.sampler.needs_sample = instance.needs_sample
            segments = response.sampler.segments
            segments.SetInParent()  # also if it wants nothing
            segments.spans, segments.never_raises = instance.spans, instance.never_raises
            segments.attributes.extend(instance.keys)
        else:
            response.sampler.description = instance.description()
            response.sampler.needs_sample = instance.needs_sample
            response.sampler.start.keys.extend(instance.keys)
            response.sampler.start.may_drop = instance.may_drop
        return response

    def close(self, request, context):
        with self.lock:
            instance = self.instances.pop(request.instance, None)
        if instance:
            with instance._changes:
                instance._closed = True
                instance._changes.notify_all()
                done = instance._changes.wait_for(lambda: instance._users == 0, LAST_WORK)
            if done:
                instance.close()
            else:
                instance.log.warning("it is still at work, and left as it is")
        return pb("CloseResponse")()

    def close_all(self):
        for number in list(self.instances):
            try:
                self.close(pb("CloseRequest")(instance=number), None)
            except Exception:
                logging.exception("closing an instance")

    def instance(self, number, context):
        with self.lock:
            instance = self.instances.get(number)
        if instance is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no instance {number!r}")
        return instance

    @contextlib.contextmanager
    def using(self, number, context):
        instance = self.instance(number, context)
        with instance._changes:
            if instance._closed:
                context.abort(grpc.StatusCode.NOT_FOUND, f"instance {number!r} is closed")
            instance._users += 1
        try:
            yield instance
        finally:
            with instance._changes:
                instance._users -= 1
                instance._changes.notify_all()

    def export(self, request, context):
        number = dict(context.invocation_metadata()).get("riffle-instance", "")
        spans = spans_of(request)
        try:
            with self.using(number, context) as exporter:
                if spans:
                    exporter.export(spans)
        except Retry as e:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(e))
        return message(TRACE_SERVICE + "ExportTraceServiceResponse")()

    def flush(self, request, context):
        with self.using(request.instance, context) as exporter:
            exporter.flush()
        return pb("FlushResponse")()

    def ask(self, request, context):
        response = pb("AskResponse")()
        with self.using(request.instance, context) as sampler:
            for q in request.questions:
                answer = sampler.answer(q.key.name, q.key.kind, attributes(q.key.attributes), q.starts)
                response.leases.add(answer=answer, ttl_ms=int(sampler.ttl * 1000))
        return response

    def ask_segments(self, request, context):
        response = pb("AskSegmentsResponse")()
        with self.using(request.instance, context) as sampler:
            for place, segment in enumerate(request.segments):
                if not context.is_active():
                    break  # what is not answered by then abstains
                answer = sampler.answer(segment)
                if answer.verdict:
                    response.answers.add(segment=place, answer=answer)
        return response

    def changes(self, request, context):
        sampler = self.instance(request.instance, context)
        told = sampler._version

        def wake():
            with sampler._changes:
                sampler._changes.notify_all()

        context.add_callback(wake)
        while context.is_active():
            with sampler._changes:
                if told == sampler._version and not sampler._closed and context.is_active():
                    sampler._changes.wait()
                if sampler._closed:
                    return
                changed, told = told != sampler._version, sampler._version
            if changed:
                yield pb("Change")(all=True)

    def services(self):
        def unary(call, request, response):
            return grpc.unary_unary_rpc_method_handler(call, message(request).FromString, response.SerializeToString)

        def ours(call, name):
            return unary(call, PACKAGE + name + "Request", message(PACKAGE + name + "Response"))

        stream = grpc.unary_stream_rpc_method_handler(self.changes, pb("ChangesRequest").FromString, pb("Change").SerializeToString)
        services = {
            PACKAGE + "Components": {
                "Describe": ours(self.describe, "Describe"),
                "Configure": ours(self.configure, "Configure"),
                "Close": ours(self.close, "Close"),
            },
            PACKAGE + "Exporters": {"Flush": ours(self.flush, "Flush")},
            PACKAGE + "StartSamplers": {"Ask": ours(self.ask, "Ask"), "Changes": stream},
            PACKAGE + "SegmentSamplers": {"Ask": ours(self.ask_segments, "AskSegments")},
            TRACE_SERVICE + "TraceService": {
                "Export": unary(
                    self.export, TRACE_SERVICE + "ExportTraceServiceRequest", message(TRACE_SERVICE + "ExportTraceServiceResponse")
                )
            },
        }
        return [grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items()]


def component_name(c):
    return getattr(c, "name", None) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", c.__name__).lower()


def component_doc(c):
    return (c.__doc__ or "").strip().split("\n")[0]


TYPES = {"string": str, "number": (int, float), "integer": int, "boolean": bool, "array": list, "object": dict}


def checked(schema, text):
    """The configuration with its defaults."""
    config = json.loads(text) if text else {}
    if not isinstance(config, dict):
        raise ConfigError("", "want a section of keys and values")
    properties = schema.get("properties", {})
    for key, given in config.items():
        if key not in properties and schema.get("additionalProperties") is False:
            raise ConfigError(key, "unknown key: known are " + (", ".join(properties) or "none"))
        want = properties.get(key, {}).get("type")
        if want and (not isinstance(given, TYPES[want]) or isinstance(given, bool) and want != "boolean"):
            raise ConfigError(key, f"{given!r} is no {want}")
    for key in schema.get("required", []):
        if key not in config:
            raise ConfigError(key, "missing")
    return {**{k: p["default"] for k, p in properties.items() if "default" in p}, **config}


# What go-plugin, which starts plugins, expects of them.


def make_certificate():
    """A key and a self-signed certificate for localhost, which only this
    process uses and only its host trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.utcnow()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=10957))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, certificate


class HostLog(logging.Handler):
    """Lines on stderr as the host reads them: one JSON object each."""

    def emit(self, record):
        try:
            line = {
                "@level": "warn" if record.levelname == "WARNING" else record.levelname.lower(),
                "@message": record.getMessage(),
                "@timestamp": datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc).isoformat(timespec="microseconds"),
            }
            if record.exc_info:
                line["exception"] = logging.Formatter().formatException(record.exc_info)
            os.write(2, (json.dumps(line) + "\n").encode())
        except Exception:
            self.handleError(record)


def serve(plugin):
    """Serves until the host says that it is over, or is gone."""
    over = threading.Event()

    def shutdown(request, context):
        over.set()
        return b""  # an empty message

    def health(request, context):
        return b"\x08\x01"  # field 1, the status, is SERVING

    def watch_host():
        while os.read(0, 4096):
            pass
        over.set()

    def raw(service, method, call):
        return grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(call)})

    key, certificate = make_certificate()
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(max_workers=64),  # each sampler's Changes holds one
        handlers=plugin.services()
        + [raw("plugin.GRPCController", "Shutdown", shutdown), raw("grpc.health.v1.Health", "Check", health)],
        options=[("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)],
    )
    credentials = grpc.ssl_server_credentials(
        [(key, certificate.public_bytes(serialization.Encoding.PEM))],
        root_certificates=os.environ["PLUGIN_CLIENT_CERT"].encode(),
        require_client_auth=True,
    )
    # The host removes the directory that it names.
    directory = os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.mkdtemp()
    address = os.path.join(directory, f"{os.getpid()}.sock")
    if not server.add_secure_port("unix:" + address, credentials):
        sys.exit(f"cannot serve at {address} with the host's certificate")
    server.start()

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the host ends plugins in its own order
    threading.Thread(target=watch_host, daemon=True).start()
    der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode().rstrip("=")
    os.write(1, f"1|{VERSION}|unix|{address}|grpc|{der}\n".encode())
    os.dup2(2, 1)  # nothing else belongs on stdout: print writes to the log
    over.wait()
    server.stop(LAST_WORK).wait()
    plugin.close_all()
    sys.stderr.flush()
    os._exit(0)  # threads of a component that still wait must not hold the process


# The messages, made at start, so that any release of google.protobuf will do.

PACKAGE = "riffle.plugin.v1."
TRACE_SERVICE = "opentelemetry.proto.collector.trace.v1."


def pb(name):
    return message(PACKAGE + name)


@functools.lru_cache(maxsize=None)
def message(name):
    descriptor = POOL.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return FACTORY.GetPrototype(descriptor)


# A FileDescriptorSet, compressed. go test ./plugins/python -update writes it.
DESCRIPTORS = """
eNrEWctvI8fR1/DNIiXN9j6spVcWd/yS5e+TvLIdOHZsh6JmLVoSKTepheEgmIzIXmms4QwzPZSXCBIESQ5BbgGCAAF8SXLbS/IP
BLkEiI/JzeccjOSeu4N+DWco6uV4kYs0Xf2r6qrq6urqInxehBV/QLyQuKRPwmC0Ngj80F/r+v2+762d3JNfq5yMFhNYQVyViJN7
xq/TUKh5owe2OyToWSjTMHC8Q+uEjRe0qrZc3JrBJUEVoCWAA993JSRV1ZYLWzO4yGgCsAhFxwvlfLqqLae3ZnDB8cJokZ4/PHCJ
RGSq2rLGFhFUAdqBkh0E9khislVtubT+0uq5tqzWGAfn35rBYEcjtAfl4xPXoUqpHBf38gXitolg33FoyPQTIoTEu1A6GIWESoH5
qrZcZotyooC8BjfjzrT4oEceLRSq2nJ2awZfj3m1LSc38pDlcGMXYGwPehdynEwXtGp6ubT+4kWukFuKJZvRgnLcnisLVMyRwB9B
QdGQDuljMhLhgtkneluawePjCuoKLnQXysdkNHYZi6IsLh2TkXKU8VcNbjQ8GgbDPvFCO3R8r931BwQhyHh2XwYv5t9oAfInJKCO
73GFilgN0XsAdhgGzsEwJHQhfTVfxFjRG7DQC/zBgPSsMdXq+kMv5CE+i2/J+Vo0XWezxk80KJpe6IQjTB6iRQDaPSJ92xoGrjSi
KCj7gcusC0cDIs3g3+gpyDs965iMhAFFnHN622RE0Uug9wjtBs6AuUcgMhwxH6Mz6MYPoOr459u9Uarzzz1G3tM+Wj6cZHB8mYv8
0B2ME9Lj1GJrQLxOhOMSVoW01Qf3DnKc61X4Ig2r01JbQKg/DLqEJTf1LdPb0jSVI8zJvcoVcqXxuQYFLHknIkN7MpGROi8yUANK
hAeGFZCHKjqXL9AhCiUMRH3SjZ9qYJyxwTFvbcwq89Umr1ywybGteZxamrbNSmJ8o/9wHZan7UsY2GKX+Yfc4jvTlBaAq+1v5YrB
ZXwPoMPWoZt2aCMMc2reogPbU0Ex/R5RCkb2txkLng3iQ+MzDWYTAGRCQUH46T/r2ovtWrQEjlhZ6FCWDqWmqXNCJ9KU50+hJtDo
eyIjpScy0vu5wj/z+r/yxh81gLEE1IAslyGNePWCqJ2WyrGQgN6AbNwK4wIrBraHBcMFqhufAWQYHN2GAue3nB7Xt4zzfNzoseTK
ZLGZFJ/JsWGjh5agJHhoaIdECgdOajMKeg7mBnZAvNBSAjJcQFlQ20LMDcg+dO1DuqBXteU8FoPoEsvGLrF3IXPseD1evcxdFHVM
Ov+z7Xg9zBnRGtygoR2EVuj0iTX0nEeWZ3s+r15y+Bqf6zh9su85j5q256OXARGvNwkvcPg88XoJcDJfFp9MvoRz8+W3IUdOiBfS
hdKl4p35yGQMWPKhV+CGWltQ5Lplvi6Sc5xHrvk2ZF3HO6YLs+dYnFxyx/GOseBCq3BdLcgJcr05vt41OcUY5HLfghyLtyFdmOfn
6rkL1uNYLHkqf9Egy5VnwTmxrRrf1nIY31MVhqlYGP7vK6bKvzXIMJ88mXObNDDzZAzMnhvIUVLIxZKC8RsNCupIo9tws71Xa1rb
jeamtd9s75n1xv2GuanPoFuAxlONZsfEzdqOrqEboI/pbRM/MLGeSlLrOw2z2dHTSRl7uLW5XzexnknS661me3/XxHrW+JMGORFs
rNjuE0rtQxU3aojqkOn6PeHzufW1y4Su/Ff3ewRzZqMJMKahm3Ct3al19ttWvbVpMkeYHX0GIZiLk1vbujYJNTFuYT31fqag6amV
TzUoMt/e5+lXOff+Tu29trXZspqtjrXfNvUZVIWnY1MdXKub8nu31t7Wv9TQCjwfQ9RbzY75YcfaqrWtRtvC5m6rYwrsj1PoBbg7
BTuJy2x8AktnVG/KXxuiVFF124sX1G2q0nqcujOtaOOy4hXbn3Pw5vRKy3VJN/SDidrNoiQ4caIa7oXpx0fyjqu5S1eFhg+3zUcD
Pwi5qm2xGibfHxIaPpFS7ecaVKatSAe+Rwn6GOYHdhA6tmvRYbdLKJWVT231cravxoTvCUltIQjPDRJj4zBhexKMnme2f0y6IelF
tmvLaWaOoIr67FmYJUHgB1byrJY5cVfQ1n+nQTluLfqlBjmxNPoqdiW3qbLx34gQfjdmNj7V4KUz366TojauxaWo03LvwqfsZJQ/
Tr0w/U2rFjx1gr6owmLgPHzokrWBOzx0+PNEfMlDoovpVUm84uPm8kfnGsxv8uf/gdoJ44egj0kyoq/WSHkLoOv3B77H6y9RFjy9
OmkRe/QLDI7BDZZ9oxm0IgtdjV8Tt04LidW00yqUmJLppJI6pHt+l1cXRcw+2THo+t5D59ASzwJZcZcFsc1pxs800OucMAyiHHMV
Le9AMbJWqjomoFuQE8tJdeUIzUFKPhqKOOX0jH9ocC2mhtymChQcj4a211VbFY3Ra5Dj51k9ne6c1vK+Q9yeyUBYYtE7UCD8wJGA
a8SeXKf4TIloyLVwxIPegjy1+wOXBFz50vrd0+xtAYi4FYfxJsBYJba9Azs8UjHIvs+uL4wPQJ9Ui7mHeL2B73ihco8ao7tQDu1j
Qi3q2YPBSDSzcYnT2pxk/CoF8xO6oiqUYu0zKTVOQq9Dlr+mZPtzaYr9bJoLdrxDLNDobShQctiXJ+gszwlExBuxsMrWI6RHrb4d
do+47wsYOGmXUZi9AiCczWO9gAWTMJLdHs6h5wckAuU4aFZSBYydiNmECWyneH9R4/1F/s3WU8KiQ1rAJUlrsrMag/DTlE5AZKVb
6Nsji5XK0qZ83x5tBv7A+BjmJ9zBSufxrVdQjYBnEjV9iusYL9W5Z05IYAW2QwlVanAa5iRjBcp116fR+T/n3BnzMCux8pZagfJ9
d0iPLskssZL59xqkt8loakJWTYHUV20KfF3POeMAoEaPL2EgegOKHOT4UU+ncjrOP5AQPAYb21BQZPTi+EeH0vrNKemXjMRvEbf4
kzkIKXdSBsuR8Q6UuMIyj65BziU2jXq9T50WucPmsYQZe5DlBPQK5GyPfkICqczCac4an8cSh25CLgxdq09lAzgbhu4uNf6mQU4g
0av8Dus53VBeMLdPC30gAFgh2TUTHgWEHvmuiIgcHhOYHwJi0+hWlKOv772LIBMM3ahpxb6N/4O5+pHtHRJ6mdD/LuQEmt3UtuvK
Q8w+UQ3KARm4dpeIBCkCZ/G0W/AYhRMsBoFSbPLyEfT/kOV7LtP5mZEhUMYhoBo9lonpMnaj12OJX9h1+8zEP074xt81yEvqea2Q
NcgEvq8uoylF2Y7ftV3s+yHmwHEOTYvoFDn0VlRMiO6MKhcqUGC1jEtCdaNE42RE5vjxi0Ukggwrr8XPp5h/G79NQTHS58mkvCUo
9YYB7zNb0sgMBkVq0liTLXP1JtvEecp+9fMUa2Hl4i0sYw+uJwJMZrBvQl7kF5XCls4MIpmPFN74DswmZliRJcOM+34Wq2Es26Uu
l+1WapDhF/kN0Kd0q67BLKeaH+61cMfEuoZ0KIseVW13b8fEemrlFxrkZbpD12H+gYk3G/WOVdtod2qNpj7DWBRxE7f2RLtHUTpb
2GxvtXY2RbtLkdvmjlnvmJui3aWo+82Inkms1bF2W+2Onl3/UgOIXisUfQAF9XZCU+q1iadWxTgPIneyw55DstBHxrRXVPIxUnn2
XIyUugVZXpWgZ6agY6VNZenMeSFpfR+KqtCmTCyvV6aJjRc908QmCp31TxNVJZO9AekaPUZT3i3jWqOyeMasNPs9yMsrCFWnGJa4
nSoLZyFe0dZJstpk+mGh33NTNZi4ASrPX4AS+m5846PXDp3waHjA8sOaYBHv+ET7gIon/ltiNDhQjYb/BAAA//8aO5cN
"""

POOL = descriptor_pool.DescriptorPool()
for file in descriptor_pb2.FileDescriptorSet.FromString(zlib.decompress(base64.b64decode(DESCRIPTORS))).file:
    POOL.AddSerializedFile(file.SerializeToString())
FACTORY = None if hasattr(message_factory, "GetMessageClass") else message_factory.MessageFactory(POOL)
