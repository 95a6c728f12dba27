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


def abstain():
    return pb("Answer")()


def drop(reason=""):
    return pb("Answer")(verdict="VERDICT_DROP", reason=reason)


def keep(share, reason=""):
    """Keeps a share of the traces, 0 to 1. With 0 they are watched."""
    return pb("Answer")(verdict="VERDICT_THRESHOLD", threshold=threshold(share), reason=reason)


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
        else:
            response.sampler.description = instance.description()
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
        spans = [
            Exported(span, resource, scoped.scope)
            for r in request.resource_spans
            for resource in [attributes(r.resource.attributes)]
            for scoped in r.scope_spans
            for span in scoped.spans
        ]
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
eNrEWctvI8fR1/DNIiWNeh/W0itLO37J8vdJXtkOHDu2Q1GzK1oSKTepheEgmIzIXmms4cxkeigvESQIkhyC3HIJEMCXJKfsJfkD
EuRiIL7m5nMOQXLP3UE/ZjhDjV4bL3KRpqt/VV3VXV1dVYQvy7DiesQJiE0GJPBHa57vBu5azx0MXGft5K78WuVktJDACuKqRJzc
1X6VhVLdGT0w7SFBz0OVBr7lHBonbDyvLCnL5a0pXBFUAVoEOHBdW0IyS8pyaWsKlxlNABagbDmBnM8uKcvZrSlcspwgWqTvDg9s
IhG5JWVZYYsIqgDtQMX0fXMkMfklZbmy/srqubas1hkH59+awmBGI7QH1eMT26KhUgUu7tULxG0Twb5j0YDpJ0QIiXegcjAKCJUC
i0vKcpUtyokC8gbciG+mwQd98mi+tKQs57em8LXYrnbk5EYR8hyu7QKM7UHvQ4GT6byylF2urL980VbII8WSTWtDNW7PlQWGzJHA
H0EppCEVssdkJNwFs0/0rjSD+8cV1BVc6A5Uj8lovGXMi/K4ckxG4UZpf1XgetOhgT8cECcwA8t1Oj3XIwhBzjEH0nkx/0bzUDwh
PrVchytUxuEQ3Qcwg8C3DoYBofPZq+1FjBW9BfN93/U80jfGVKPnDp2Au/g0vinn69F0g81qP1GgrDuBFYwweYgWAGjviAxMY+jb
0oiyoOz7NrMuGHlEmsG/0TNQtPrGMRkJA8q4YPW3yYiiV0DtE9rzLY9tj0DkOGI2RmfQjR/AkuWeb/dGpcE/9xh5T/l4+XCSwXJl
LHID2xsHpMeZhbZHnG6E4xJWhbTVB3cPCpzrdfhHFlbTQptPqDv0e4QFt/BbhrfFNJUjzMnd2hVipfalAiUseSc8Q3k6npE5zzNQ
EyqEO4bhk4ehdy5foEPkShhI+Ek3fqqAdsYBx3ZrYzo0PzzklQsOOXY0jzOLacccSowf9B+uwXLauQS+KU6Zf8gjvp2mtABc7Xxr
V3Qu7XsAXbYO3TQDE2GYCecN6plO6BTp70ioYGR/h7HgaT8+1L5QYDoBQDqUQgi//Wc9e7FTi5bAEStzHcrCodQ0c47rRJry+CnU
BBp9T0Sk7ERE+qBQ+mdR/VdR+6MCMJaAmpDnMqQRr1/gtWmhHAsJ6C3Ix63QLrDCMx0sGC5QXfsCIMfg6BaUOL9h9bm+VVzk42af
BVcmi81k+EyBDZt9tAgVwUMDMyBSOHBSh1HQCzDjmT5xAiMUkOMCqoLaEWKuQ/6hbR7SeXVJWS5iMYgesXzsEXsfcseW0+fZy8xF
Xsek8z/bltPHnBGtwXUamH5gBNaAGEPHemQ4puPy7KWA5/hc1xqQfcd61DIdF70KiDj9SXiJw2eJ00+Ak/Gy/HTiJZwbL78NBXJC
nIDOVy7l72yPdMaAJR96Da6HawuKXLfK10VyjvPINd+FvG05x3R++hyLk0vuWM4xFlxoFa6FC3KCXG+GrzcnpxiDXO5bUGD+NqTz
s/xevXDBehyLJU/tcwXyXHnmnBPHqvBjrQbxMw3dMBNzw/99xlT7twI5tidP594mDcw9HQPz5zpyFBQKsaCg/VqBUnil0S240dmr
t4ztZmvT2G919vRG815T31Sn0E1A46lmq6vjVn1HVdB1UMf0jo4f6FjNJKmNnabe6qrZpIw93N7cb+hYzSXpjXars7+rYzWv/VmB
gnA2lmwPCKXmYeg34RA1INdz+2LPZ9bXLuO68l/D7RPMmbUWwJiGbsBcp1vv7neMRntTZxuhd9UphGAmTm5vq8okVMe4jdXMB7mS
omZWPlOgzPb2Hg+/4ebe26nf7xibbaPV7hr7HV2dQkvwbGyqi+sNXX7v1jvb6lcKWoEXY4hGu9XVP+oaW/WO0ewYWN9td3WB/XEG
vQR3UrCTuNzGp7B4RvYW7teGSFXCvO3lC/K2MNN6nLmdlrRxWfGM7S8FeDs907Jt0gtcfyJ3MyjxT6woh3sp/fpI3nE2d+msUHPh
lv7Ic/2Aq9oRq2Hy/SGhwVNJ1X6uQC1tReq5DiXoE5j1TD+wTNugw16PUCozn/rq5WxfjQnfE5I6QhCe8RJj7TBhexKMXmS2f0J6
AelHtivLWWaOoIr87HmYJr7v+kbyrlY5cVfQ1n+rQDVuLfqlAgWxNHoSu5LHVNv4b0SIfdemNj5T4JUza9dJURtzcSnhbbl7YSk7
6eWPMy+l17Thgqdu0OeLsOBbDx/aZM2zh4cWL0/El7wkqphelcQrFjeXvzpzMLvJy/+D8CS0H4I6JkmPvloj5R2AnjvwXIfnXyIt
eHZ10iJW9AsMjsE1Fn2jGbQiE12FPxM3TwuJ5bRpGUpMyWxSSRWyfbfHs4syZp/sGvRc56F1aIiyQGbcVUHscJr2MwXUBicM/SjG
XEXL21COrJWqjgnoJhTEclJdOUIzkJFFQxlnrL72dwXmYmrIY6pByXJoYDq98KiiMXoDCvw+h6XT7dNa3rOI3dcZCEsseg9KhF84
4nONWMl1ik+XiKZcC0c86B0oUnPg2cTnylfW75xm7whAxB1yaG8DjFVix+uZwVHog+z77PxC+xDUSbXY9hCn77mWE4TbE47RHagG
5jGhBnVMzxuJZjaucFqHk7TfKzA7oStagkqsfSalxknoTcjzakq2PxdT7GfTXLDlHGKBRu9CiZLDgbxBZ+2cQES8EQtz0+mEXLZ9
vOmn8KYf/2ZGW4eO6xNqRDenhCuS1mIXKAbhLp5NQGT6WRqYI4Plr/yQS7g4MEebvutp92F2QkeWz46folJYnT+XSLQzXMcYRVuB
asN2aXTjzvF0bRamJVa+CytQvWcP6dElmSVWMv9Ogew2GaWGwLAMzzxpGf51FVDaAUCdHl/CQPQWlDnIcqMuSu20Z30oIXgM1rah
FJLRy+M2f2X9RkrAIyPR/b/Ji1Q/oHyTcliOtPegwhWWkWsNCjYxadRdfea0yB02jyVM24M8J6DXoGA69FPiS2XmT3PW+TyWOHQD
CkFgGwMqW675ILB3qfYnBQoCiV7nr0bf6gUypN86LfSBAOAQyQJ7cOQTeuTawiMKeExg++ATk0bvkBx9bRWm9n8w0zgynUNCL+Pm
34WCQLN30LRteRvZJ6pD1SeebfaICD/CSRZObwEeo3CCRSNQiU1e3lv+H/L8fGWwPNMLBEo7BFSnxzLCXMZu9GYsrAq7bp0ZVmPh
9G8KFCX1vEbDGuR81w1DfUrKs+P2TBu7boA5cBwMs8ITRTC8GT3VovcRPsY1KLFMwSaB6AaWcDROel+BX7WY9yHIseRV/DiJ+bf2
mwyUI32eTnhbhEp/6PMuriGNzGEISS0aa2Hlrt7Cmrg7+SfvzsQaRIV4g0jbg2sJB5PR6ptQFLEkDFeLZzqRjD0hXvsOTCdmWAoj
3Yzv/TQOh7HIlrlcZFupQ46/yNdBTekFzcE0p+of7bVxV8eqglSoig5QfXdvR8dqZuUXChRlaEPXYPaBjjebja5R3+h0682WOsVY
QuImbu+JZkpI6W5hvbPV3tkUzaSQ3NF39EZX3xTNpJC634roucRaXWO33emq+fWvFICoFqDoQyiFlQlKyYYmCpmadh5EnmSXFRsy
jUZaWo2STPVrz5+LkVK3IM8zEPRcCjqWxtQWz5wXktb3oRymsZSJ5blJmth4gpMmNpHUrH+WSA+Z7A3I1ukxSqkKxnlFbeGMWWn2
fSjKJwgtpRiWeJ1q82chXlPWSTJtZPphod8LqRpMvAC1Fy9ACX03vvHxG4dWcDQ8YPFhTbCIKjlRnFNRQL8jRt5BWMb/JwAA///Q
m2d4
"""

POOL = descriptor_pool.DescriptorPool()
for file in descriptor_pb2.FileDescriptorSet.FromString(zlib.decompress(base64.b64decode(DESCRIPTORS))).file:
    POOL.AddSerializedFile(file.SerializeToString())
FACTORY = None if hasattr(message_factory, "GetMessageClass") else message_factory.MessageFactory(POOL)
