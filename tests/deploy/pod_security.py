"""The Pod Security Standard "restricted", rule by rule, as Kubernetes documents it: what a pod's specification breaks."""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
}
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}


def broken_rules(pod):
    """Names of the rules that the specification of a pod breaks, in the order of the standard."""
    containers = [one for kind in ("containers", "initContainers", "ephemeralContainers") for one in pod.get(kind, [])]
    whole = pod.get("securityContext", {})
    contexts = [one.get("securityContext", {}) for one in containers]

    def of_each(field, *path):
        """What holds for each container: its own word, or else the pod's."""
        for context in contexts:
            value = context.get(field, whole.get(field))
            for name in path:
                value = (value or {}).get(name)
            yield value

    def said(field, *path):
        """Everything that is said anywhere."""
        for context in [whole, *contexts]:
            value = context.get(field)
            for name in path:
                value = (value or {}).get(name)
            if value is not None:
                yield value

    def capabilities(which):
        return [set(context.get("capabilities", {}).get(which, [])) for context in contexts]

    broken = {
        "HostProcess": any(value for value in said("windowsOptions", "hostProcess")),
        "Host Namespaces": any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")),
        "Privileged Containers": any(context.get("privileged") for context in contexts),
        "Capabilities": any(added - {"NET_BIND_SERVICE"} for added in capabilities("add")) or
        any("ALL" not in dropped for dropped in capabilities("drop")),
        "Volume Types": any(set(volume) - {"name"} - VOLUMES for volume in pod.get("volumes", [])),
        "Host Ports": any(port.get("hostPort") for one in containers for port in one.get("ports", [])),
        "AppArmor": any(kind not in ("RuntimeDefault", "Localhost") for kind in said("appArmorProfile", "type")),
        "SELinux": any(kind not in SELINUX for kind in said("seLinuxOptions", "type")) or
        any(said("seLinuxOptions", "user")) or any(said("seLinuxOptions", "role")),
        "/proc Mount Type": any(kind != "Default" for kind in said("procMount")),
        "Sysctls": any(one["name"] not in SYSCTLS for one in whole.get("sysctls", [])),
        "Privilege Escalation": any(context.get("allowPrivilegeEscalation") is not False for context in contexts),
        "Running as Non-root": any(value is not True for value in of_each("runAsNonRoot")),
        "Running as Non-root user": any(user == 0 for user in said("runAsUser")),
        "Seccomp": any(kind not in ("RuntimeDefault", "Localhost") for kind in of_each("seccompProfile", "type")) or
        any(kind == "Unconfined" for kind in said("seccompProfile", "type")),
        "HTTP Probes and Handlers": any(
            one.get(name, {}).get(way, {}).get("host") for one in containers for name in ("startupProbe", "readinessProbe", "livenessProbe")
            for way in ("httpGet", "tcpSocket")),
    }
    assert contexts, "a pod without a container"
    return [rule for rule, is_broken in broken.items() if is_broken]
