# Installs the service manifests of a recipe, and fails the build with file, line and column when one has a mistake:
# the agent would not start with it. The checks are those of the agent itself.
#
#   SRC_URI = "file://com.example.camera.json"
#   SOFTWARECONTAINER_MANIFESTS = "com.example.camera.json"
#   inherit softwarecontainer-manifest

# Files, relative to SOFTWARECONTAINER_MANIFEST_SRC_DIR: capabilities that launchers choose from …
SOFTWARECONTAINER_MANIFESTS ??= ""
# … and capabilities that every container gets.
SOFTWARECONTAINER_DEFAULT_MANIFESTS ??= ""

# Yocto 5.0 has no UNPACKDIR.
SOFTWARECONTAINER_MANIFEST_SRC_DIR ??= "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"

# With --strict what the agent only warns of is a mistake, too.
SOFTWARECONTAINER_VALIDATE_FLAGS ??= "--strict"

DEPENDS += "softwarecontainer-validate-native"

SOFTWARECONTAINER_CONFIGDIR = "${sysconfdir}/softwarecontainer"
SOFTWARECONTAINER_MANIFESTDIR = "${SOFTWARECONTAINER_CONFIGDIR}/service-manifest.d"
SOFTWARECONTAINER_DEFAULT_MANIFESTDIR = "${SOFTWARECONTAINER_CONFIGDIR}/service-manifest.default.d"

python () {
    if not (d.getVar('SOFTWARECONTAINER_MANIFESTS') or d.getVar('SOFTWARECONTAINER_DEFAULT_MANIFESTS')).split():
        raise bb.parse.SkipRecipe('neither SOFTWARECONTAINER_MANIFESTS nor SOFTWARECONTAINER_DEFAULT_MANIFESTS names a manifest')
}

do_validate_manifests() {
    cd ${SOFTWARECONTAINER_MANIFEST_SRC_DIR}
    set --
    for manifest in ${SOFTWARECONTAINER_DEFAULT_MANIFESTS}; do
        set -- "$@" --default-manifest-dir "$manifest"
    done
    # The validator wants something to choose from, too; checked as such a default manifest says the same.
    mistakes=$(softwarecontainer-validate ${SOFTWARECONTAINER_VALIDATE_FLAGS} --quiet "$@" \
        ${@d.getVar('SOFTWARECONTAINER_MANIFESTS').strip() or d.getVar('SOFTWARECONTAINER_DEFAULT_MANIFESTS')} 2>&1) || \
        bbfatal "service manifests in $PWD: $mistakes"
}
addtask validate_manifests after do_configure before do_install
do_validate_manifests[doc] = "Checks the recipe's service manifests with the agent's validator"

do_install:append() {
    for manifest in ${SOFTWARECONTAINER_MANIFESTS}; do
        install -D -m 0644 "${SOFTWARECONTAINER_MANIFEST_SRC_DIR}/$manifest" "${D}${SOFTWARECONTAINER_MANIFESTDIR}/$(basename "$manifest")"
    done
    for manifest in ${SOFTWARECONTAINER_DEFAULT_MANIFESTS}; do
        install -D -m 0644 "${SOFTWARECONTAINER_MANIFEST_SRC_DIR}/$manifest" "${D}${SOFTWARECONTAINER_DEFAULT_MANIFESTDIR}/$(basename "$manifest")"
    done
}
