# Says at the start of a build what the distribution lacks for containers to work.
# Set to "1" for builds that have the layer but no softwarecontainer in an image.
SKIP_SOFTWARECONTAINER_SANITY_CHECK ??= "0"

SOFTWARECONTAINER_NEEDED_DISTRO_FEATURES = "systemd virtualization seccomp"

addhandler softwarecontainer_sanity_check
softwarecontainer_sanity_check[doc] = "Compares DISTRO_FEATURES with what containers need"
softwarecontainer_sanity_check[eventmask] = "bb.event.SanityCheck"
python softwarecontainer_sanity_check() {
    if bb.utils.to_boolean(e.data.getVar('SKIP_SOFTWARECONTAINER_SANITY_CHECK')):
        return
    features = (e.data.getVar('DISTRO_FEATURES') or '').split()
    needed = e.data.getVar('SOFTWARECONTAINER_NEEDED_DISTRO_FEATURES').split()
    missing = [feature for feature in needed if feature not in features]
    if missing:
        bb.warn("meta-softwarecontainer is in bblayers.conf, but DISTRO_FEATURES lacks: %s. softwarecontainer and the images of this "
                "layer cannot be built, and the kernel does not get its options. Add them (see the layer's README.md), or set "
                "SKIP_SOFTWARECONTAINER_SANITY_CHECK = \"1\"." % ' '.join(missing))
}
