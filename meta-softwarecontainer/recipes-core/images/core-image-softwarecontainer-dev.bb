SUMMARY = "core-image-softwarecontainer with tools to develop and test"
DESCRIPTION = "Adds ssh, strace, gdbserver, the tools of LXC, launcher and examples, and the tests. Anyone can log in: not for products."

require core-image-softwarecontainer.inc

# nooelint: oelint.var.badimagefeature
IMAGE_FEATURES += "allow-empty-password allow-root-login empty-root-password ssh-server-openssh"

CORE_IMAGE_EXTRA_INSTALL += "\
    gdbserver \
    packagegroup-softwarecontainer-tools \
    softwarecontainer-boot-test \
    ${@bb.utils.contains('DISTRO_FEATURES', 'ptest', 'softwarecontainer-ptest', '', d)} \
    strace \
"
