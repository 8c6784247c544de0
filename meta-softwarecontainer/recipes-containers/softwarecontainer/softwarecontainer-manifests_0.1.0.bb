SUMMARY = "Service manifests: the capabilities that apps in containers can get"
SUMMARY:${PN}-default = "Capabilities that every container gets"
SUMMARY:${PN}-audio = "Capability: sound through PulseAudio"
SUMMARY:${PN}-core-dumps = "Capability: core dumps of apps on the host"
SUMMARY:${PN}-gpu-mali = "Capability: graphics on Arm Mali with its vendor's driver"
SUMMARY:${PN}-gpu-powervr = "Capability: graphics on PowerVR with its vendor's driver"
SUMMARY:${PN}-gpu-vivante = "Capability: graphics on Vivante with its vendor's driver"
SUMMARY:${PN}-network = "Capabilities: network access, from ping to everything"
SUMMARY:${PN}-pipewire = "Capabilities: sound and cameras through PipeWire"
SUMMARY:${PN}-privileges = "Capabilities: system calls and privileges that apps do not have by default"
SUMMARY:${PN}-qt-application-manager = "Capability that the Qt Application Manager asks for"
SUMMARY:${PN}-shared-memory = "Capability: POSIX shared memory with the host"
SUMMARY:${PN}-wayland = "Capabilities: Wayland, and graphics through DRM"
SUMMARY:${PN}-examples = "Example capabilities"
DESCRIPTION = "One package for the capabilities that every container gets, one for each optional group, one with examples. \
               A system with default manifests of its own names them in VIRTUAL-RUNTIME_softwarecontainer-default-manifests."
SECTION = "base"

require softwarecontainer-source.inc

inherit allarch features_check softwarecontainer-manifest

REQUIRED_DISTRO_FEATURES = "virtualization"

SOFTWARECONTAINER_MANIFEST_SRC_DIR = "${S}/manifests"
SOFTWARECONTAINER_DEFAULT_MANIFESTS = "default/container.json"
SOFTWARECONTAINER_MANIFESTS = "\
    examples/devices.json \
    examples/environment.json \
    examples/files.json \
    examples/network.json \
    examples/resources.json \
    examples/temperature-service.json \
    examples/traffic-shaping.json \
    optional/audio.json \
    optional/core-dumps.json \
    optional/gpu-mali.json \
    optional/gpu-powervr.json \
    optional/gpu-vivante.json \
    optional/pipewire.json \
    optional/privileges.json \
    optional/qt-application-manager.json \
    optional/shared-memory.json \
    optional/wayland.json \
"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

PACKAGES = "\
    ${PN}-default \
    ${PN}-audio \
    ${PN}-core-dumps \
    ${PN}-gpu-mali \
    ${PN}-gpu-powervr \
    ${PN}-gpu-vivante \
    ${PN}-network \
    ${PN}-pipewire \
    ${PN}-privileges \
    ${PN}-qt-application-manager \
    ${PN}-shared-memory \
    ${PN}-wayland \
    ${PN}-examples \
"

FILES:${PN}-default += "${SOFTWARECONTAINER_DEFAULT_MANIFESTDIR}"
FILES:${PN}-audio += "${SOFTWARECONTAINER_MANIFESTDIR}/audio.json"
FILES:${PN}-core-dumps += "${SOFTWARECONTAINER_MANIFESTDIR}/core-dumps.json"
FILES:${PN}-gpu-mali += "${SOFTWARECONTAINER_MANIFESTDIR}/gpu-mali.json"
FILES:${PN}-gpu-powervr += "${SOFTWARECONTAINER_MANIFESTDIR}/gpu-powervr.json"
FILES:${PN}-gpu-vivante += "${SOFTWARECONTAINER_MANIFESTDIR}/gpu-vivante.json"
FILES:${PN}-network += "${SOFTWARECONTAINER_MANIFESTDIR}/network.json"
FILES:${PN}-pipewire += "${SOFTWARECONTAINER_MANIFESTDIR}/pipewire.json"
FILES:${PN}-privileges += "${SOFTWARECONTAINER_MANIFESTDIR}/privileges.json"
FILES:${PN}-qt-application-manager += "${SOFTWARECONTAINER_MANIFESTDIR}/qt-application-manager.json"
FILES:${PN}-shared-memory += "${SOFTWARECONTAINER_MANIFESTDIR}/shared-memory.json"
FILES:${PN}-wayland += "${SOFTWARECONTAINER_MANIFESTDIR}/wayland.json"
FILES:${PN}-examples += "${SOFTWARECONTAINER_MANIFESTDIR}"
