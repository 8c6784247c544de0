# Packages an app for the launcher: the app's files in a directory that only its container sees, and an app manifest that
# says what to run and with which capabilities.
#
#   inherit softwarecontainer-app
#   SOFTWARECONTAINER_APP_COMMAND = "/app/bin/player --fullscreen"
#   SOFTWARECONTAINER_APP_CAPABILITIES = "com.pelagicore.audio com.pelagicore.wayland"
#   do_install() { install -D -m 0755 player ${D}${SOFTWARECONTAINER_APP_DIR}/bin/player; }

# Name of the app, one word: of its manifest and its directories
SOFTWARECONTAINER_APP ??= "${BPN}"
# Command line in the container; needed
SOFTWARECONTAINER_APP_COMMAND ??= ""
SOFTWARECONTAINER_APP_CAPABILITIES ??= ""
# Environment variables, NAME=value, separated by spaces
SOFTWARECONTAINER_APP_ENVIRONMENT ??= ""
# Home directory on the host; empty for one that the launcher keeps. It is made at boot and belongs to the launcher's user: the agent mounts it with
# the rights of that user.
SOFTWARECONTAINER_APP_HOME ??= ""
# User of its own that the launcher runs as for this app, a member of the group softwarecontainer. It comes with the package. Empty for
# softwarecontainer-launcher, which all other apps have in common.
SOFTWARECONTAINER_APP_USER ??= ""
# More of the host that the app may read: directories or files, which have the same path in the container
SOFTWARECONTAINER_APP_READS ??= ""
# "1": what the app writes is kept back until it ends
SOFTWARECONTAINER_APP_WRITE_BUFFER ??= "0"
# "1": started at boot
SOFTWARECONTAINER_APP_AUTOSTART ??= "0"

# Where the app's files are installed; /app in its container, read-only
SOFTWARECONTAINER_APP_DIR = "/opt/${SOFTWARECONTAINER_APP}"

python do_app_manifest() {
    import json
    import re

    def variable(name):
        return (d.getVar('SOFTWARECONTAINER_APP' + name) or '').strip()

    name = variable('')
    if not re.fullmatch(r'[A-Za-z0-9][A-Za-z0-9._-]*', name):
        bb.fatal('SOFTWARECONTAINER_APP = "%s" is no name for an app' % name)
    if not variable('_COMMAND'):
        bb.fatal('SOFTWARECONTAINER_APP_COMMAND does not say what app %s runs' % name)
    manifest = {'name': name, 'command': variable('_COMMAND'), 'capabilities': variable('_CAPABILITIES').split()}
    manifest['mounts'] = [{'host': d.getVar('SOFTWARECONTAINER_APP_DIR'), 'container': '/app', 'read-only': True}]
    for path in variable('_READS').split():
        manifest['mounts'].append({'host': path, 'container': path, 'read-only': True})
    environment = {}
    for word in variable('_ENVIRONMENT').split():
        key, equals, value = word.partition('=')
        if not key or not equals:
            bb.fatal('SOFTWARECONTAINER_APP_ENVIRONMENT: "%s" is not NAME=value' % word)
        environment[key] = value
    manifest['environment'] = environment
    if variable('_HOME'):
        manifest['home'] = variable('_HOME')
    manifest['write-buffer'] = bb.utils.to_boolean(variable('_WRITE_BUFFER'), False)
    for path in [mount['host'] for mount in manifest['mounts']] + [manifest.get('home', '/')]:
        if not path.startswith('/'):
            bb.fatal('app %s: "%s" is not an absolute path' % (name, path))
    with open(os.path.join(d.getVar('B'), name + '.app.json'), 'w') as file:
        json.dump(manifest, file, indent=2)
        file.write('\n')
}
addtask app_manifest after do_configure before do_install
do_app_manifest[doc] = "Writes the app manifest for the launcher"
do_app_manifest[dirs] = "${B}"

do_install:append() {
    install -D -m 0644 ${B}/${SOFTWARECONTAINER_APP}.app.json ${D}${sysconfdir}/softwarecontainer/apps/${SOFTWARECONTAINER_APP}.json
    if [ -n "${SOFTWARECONTAINER_APP_HOME}" ]; then
        install -d ${D}${nonarch_libdir}/tmpfiles.d
        user=${@d.getVar('SOFTWARECONTAINER_APP_USER') or 'softwarecontainer-launcher'}
        echo "d ${SOFTWARECONTAINER_APP_HOME} 0700 $user $user -" > ${D}${nonarch_libdir}/tmpfiles.d/softwarecontainer-app-${SOFTWARECONTAINER_APP}.conf
    fi
    if [ -n "${SOFTWARECONTAINER_APP_USER}" ]; then
        # Directories of its own as well: systemd gives those of the unit to whoever was started last.
        install -d ${D}${systemd_system_unitdir}/softwarecontainer-app@${SOFTWARECONTAINER_APP}.service.d
        printf '%s\n' '[Service]' User=${SOFTWARECONTAINER_APP_USER} \
            RuntimeDirectory= RuntimeDirectory=softwarecontainer-app/${SOFTWARECONTAINER_APP} \
            StateDirectory= StateDirectory=softwarecontainer-app/${SOFTWARECONTAINER_APP} \
            > ${D}${systemd_system_unitdir}/softwarecontainer-app@${SOFTWARECONTAINER_APP}.service.d/user.conf
    fi
    if [ "${SOFTWARECONTAINER_APP_AUTOSTART}" = 1 ]; then
        install -d ${D}${systemd_system_unitdir}/multi-user.target.wants
        ln -s ../softwarecontainer-app@.service ${D}${systemd_system_unitdir}/multi-user.target.wants/softwarecontainer-app@${SOFTWARECONTAINER_APP}.service
    fi
}

FILES:${PN} += "\
    ${SOFTWARECONTAINER_APP_DIR} \
    ${nonarch_libdir}/tmpfiles.d \
    ${sysconfdir}/softwarecontainer/apps \
    ${systemd_system_unitdir}/multi-user.target.wants \
    ${systemd_system_unitdir}/softwarecontainer-app@${SOFTWARECONTAINER_APP}.service.d \
"
RDEPENDS:${PN} += "softwarecontainer-launcher"

USERADD_PACKAGES = "${PN}"
# As a member of the launcher's group
GROUPADD_PARAM:${PN} = "--system softwarecontainer"
USERADD_PARAM:${PN} = "\
    --system --home-dir / --no-create-home --shell ${base_sbindir}/nologin --user-group --groups softwarecontainer \
    ${SOFTWARECONTAINER_APP_USER} \
"
inherit_defer ${@'useradd' if d.getVar('SOFTWARECONTAINER_APP_USER') else ''}
