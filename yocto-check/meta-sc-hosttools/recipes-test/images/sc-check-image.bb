SUMMARY = "The layer's packages, installed by apt into an empty root file system"
LICENSE = "MIT"

inherit image

IMAGE_INSTALL = "packagegroup-softwarecontainer packagegroup-softwarecontainer-tools sc-sample-app softwarecontainer-boot-test"
IMAGE_FSTYPES = "tar"
IMAGE_LINGUAS = ""
IMAGE_FEATURES = ""
ROOTFS_BOOTSTRAP_INSTALL = ""
TOOLCHAIN_HOST_TASK = ""
TOOLCHAIN_TARGET_TASK = ""

deltask do_populate_sdk
deltask do_populate_sdk_ext

# Where apt-native's configuration makes apt keep its state
do_rootfs[dirs] += "${APTCONF_TARGET}/apt-state/var/cache/apt/archives/partial ${APTCONF_TARGET}/apt-state/var/lib/apt ${APTCONF_TARGET}/apt-state/var/log/apt"
