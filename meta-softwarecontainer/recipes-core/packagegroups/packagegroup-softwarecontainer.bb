SUMMARY = "Agent that runs apps in containers, with what it needs to work"
SUMMARY:${PN}-tools = "Tools to look into containers and try the agent"
DESCRIPTION = "The agent, its configuration, the default manifests. Capabilities are for the image to choose."

inherit packagegroup features_check

# Those of the agent
REQUIRED_DISTRO_FEATURES = "systemd virtualization seccomp"

PACKAGES = "${PN} ${PN}-tools"

# Packages that a system may replace with its own.
VIRTUAL-RUNTIME_softwarecontainer-config ??= "softwarecontainer-config"
VIRTUAL-RUNTIME_softwarecontainer-default-manifests ??= "softwarecontainer-manifests-default"

RDEPENDS:${PN} = "\
    ${VIRTUAL-RUNTIME_softwarecontainer-config} \
    ${VIRTUAL-RUNTIME_softwarecontainer-default-manifests} \
    softwarecontainer \
"

RDEPENDS:${PN}-tools = "\
    lxc \
    softwarecontainer-check-kernel \
    softwarecontainer-ctl \
    softwarecontainer-examples \
    softwarecontainer-launcher \
    softwarecontainer-manifests-network \
    softwarecontainer-validate \
"

# Modules, where the kernel has them as such; the recipe iptables recommends more
RRECOMMENDS:${PN} = "\
    kernel-module-act-mirred \
    kernel-module-bridge \
    kernel-module-cls-bpf \
    kernel-module-ifb \
    kernel-module-ip6table-mangle \
    kernel-module-ip6table-nat \
    kernel-module-iptable-mangle \
    kernel-module-nft-chain-nat \
    kernel-module-nft-compat \
    kernel-module-nft-ct \
    kernel-module-nft-connlimit \
    kernel-module-nft-limit \
    kernel-module-nft-log \
    kernel-module-nft-masq \
    kernel-module-nft-reject \
    kernel-module-nft-reject-ipv4 \
    kernel-module-nft-reject-ipv6 \
    kernel-module-overlay \
    kernel-module-sch-htb \
    kernel-module-sch-ingress \
    kernel-module-sch-tbf \
    kernel-module-veth \
    kernel-module-xt-classify \
    kernel-module-xt-connlimit \
    kernel-module-nf-conntrack-netlink \
    kernel-module-xt-limit \
    kernel-module-xt-comment \
    kernel-module-xt-log \
    kernel-module-nf-log-syslog \
    kernel-module-nf-log-ipv4 \
    kernel-module-ipt-reject \
    kernel-module-ip6t-reject \
    kernel-module-xt-conntrack \
    kernel-module-xt-masquerade \
"
