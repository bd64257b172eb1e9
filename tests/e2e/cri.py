#!/usr/bin/python3
"""A small client of the Kubernetes CRI, in place of a kubelet.

usage: cri.py start [--handler NAME] [--device CDI] [--annotation K=V] [--pod-annotation K=V] [--env K=V]
                    [--mount HOST:CONTAINER] IMAGE COMMAND...   prints "POD CONTAINER"; both keep running
       cri.py exec CONTAINER COMMAND...                         its output and exit code are the command's
       cri.py status CONTAINER                                  prints "STATE EXIT-CODE REASON MESSAGE"
       cri.py stop POD                                          ends the pod and its containers

The messages are written by hand: a dozen fields of runtime/v1/api.proto, whose numbers are below."""
import argparse
import os
import sys

import grpc

SOCKET = os.environ.get("CRI_SOCKET", "unix:///run/containerd/containerd.sock")
HOST_NETWORK = {"network": 2}
NAMESPACES = {"network": 1, "pid": 2, "ipc": 3}
NAMED = {"name": 1, "attempt": 2}
FIELDS = {  # name: number, or (number, fields of the message)
    "sandbox": {
        "metadata": (1, {"name": 1, "uid": 2, "namespace": 3, "attempt": 4}), "log_directory": 3, "annotations": 7,
        "linux": (8, {"security_context": (2, {"namespace_options": (1, NAMESPACES)})}),
    },
    "container": {
        "metadata": (1, NAMED), "image": (2, {"image": 1, "user_specified_image": 18}), "command": 3,
        "envs": (6, {"key": 1, "value": 2}), "mounts": (7, {"container_path": 1, "host_path": 2}), "annotations": 10,
        "log_path": 11, "linux": (15, {"security_context": (2, {"namespace_options": (3, NAMESPACES)})}),
        "CDI_devices": (17, {"name": 1}),
    },
}


def varint(number):
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def encode(fields, message):
    out = b""
    for name, value in message.items():
        number, inner = fields[name] if isinstance(fields[name], tuple) else (fields[name], None)
        if name == "annotations":
            value = [field(1, key) + field(2, text) for key, text in value.items()]
        for one in value if isinstance(value, list) else [value]:
            out += field(number, encode(inner, one) if inner else one)
    return out


def decode(data):
    """The fields of a message, the last of each number."""
    at, out = 0, {}

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 2:
            length = number()
            out[key >> 3], at = data[at:at + length], at + length
        else:
            out[key >> 3] = number()
    return out


def call(method, request):
    raw = lambda data: data
    with grpc.insecure_channel(SOCKET) as channel:
        stub = channel.unary_unary("/runtime.v1.RuntimeService/" + method, request_serializer=raw, response_deserializer=raw)
        return decode(stub(request, timeout=60))


def pairs(words, separator="="):
    return dict(word.split(separator, 1) for word in words)


def start(options):
    name = "test-%d" % os.getpid()
    security = {"security_context": {"namespace_options": HOST_NETWORK}}
    sandbox = encode(FIELDS["sandbox"], {
        "metadata": {"name": name, "uid": name, "namespace": "default"}, "log_directory": "/var/log/pods",
        "annotations": pairs(options.pod_annotation), "linux": security,
    })
    pod = call("RunPodSandbox", field(1, sandbox) + field(2, options.handler))[1]
    container = encode(FIELDS["container"], {
        "metadata": {"name": "test"}, "image": {"image": options.image, "user_specified_image": options.image},
        "command": options.command, "envs": [{"key": k, "value": v} for k, v in pairs(options.env).items()],
        "mounts": [{"host_path": k, "container_path": v} for k, v in pairs(options.mount, ":").items()],
        "annotations": pairs(options.annotation), "log_path": name + ".log", "linux": security,
        "CDI_devices": [{"name": device} for device in options.device],
    })
    try:
        made = call("CreateContainer", field(1, pod) + field(2, container) + field(3, sandbox))[1]
        call("StartContainer", field(1, made))
    except grpc.RpcError:
        stop(pod)
        raise
    print(pod.decode(), made.decode())


def stop(pod):
    call("StopPodSandbox", field(1, pod))
    call("RemovePodSandbox", field(1, pod))


def execute(container, command):
    request = field(1, container) + b"".join(field(2, word) for word in command) + field(3, 60)
    answer = call("ExecSync", request)
    sys.stdout.buffer.write(answer.get(1, b""))
    sys.stderr.buffer.write(answer.get(2, b""))
    return answer.get(3, 0)


def status(container):
    answer = decode(call("ContainerStatus", field(1, container))[1])
    print(answer.get(3, 0), answer.get(7, 0), answer.get(10, b"").decode(), answer.get(11, b"").decode())


def parse():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="verb", required=True)
    starting = commands.add_parser("start")
    starting.add_argument("--handler", default="")
    for option in ("device", "annotation", "pod-annotation", "env", "mount"):
        starting.add_argument("--" + option, action="append", default=[])
    starting.add_argument("image")
    starting.add_argument("command", nargs=argparse.REMAINDER)
    for verb, what in (("exec", "container"), ("status", "container"), ("stop", "pod")):
        commands.add_parser(verb).add_argument(what)
    commands.choices["exec"].add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args()


def main():
    options = parse()
    try:
        if options.verb == "start":
            start(options)
        elif options.verb == "exec":
            return execute(options.container, options.command)
        elif options.verb == "status":
            status(options.container)
        else:
            stop(options.pod)
    except grpc.RpcError as error:
        print(error.details(), file=sys.stderr)
        return 1
    return 0


sys.exit(main())
