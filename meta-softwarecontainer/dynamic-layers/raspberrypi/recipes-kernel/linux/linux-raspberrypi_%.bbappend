# In this form the layer changes no signature of a build that has no containers.
require ${@bb.utils.contains('DISTRO_FEATURES', 'virtualization', 'recipes-kernel/linux/linux-yocto_softwarecontainer.inc', '', d)}
