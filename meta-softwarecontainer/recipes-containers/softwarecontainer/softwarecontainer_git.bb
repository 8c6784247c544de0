require softwarecontainer.inc

# Newest commit of a branch, for development. In the build's configuration:
#   SOFTWARECONTAINER_BRANCH = "main"
#   PREFERRED_VERSION_softwarecontainer = "0.1.0+git"
DEFAULT_PREFERENCE = "-1"
PV = "0.1.0+git"

SOFTWARECONTAINER_BRANCH ?= ""
SOFTWARECONTAINER_BRANCH_URI ?= "git://${@os.path.dirname(d.getVar('SOFTWARECONTAINER_LAYERDIR'))};protocol=file"
SOFTWARECONTAINER_URI = "${SOFTWARECONTAINER_BRANCH_URI};branch=${SOFTWARECONTAINER_BRANCH}"

# AUTOREV asks the repository while recipes are parsed: only who builds this recipe shall wait for that.
SRCREV = "${@'AUTOINC' if d.getVar('SOFTWARECONTAINER_BRANCH') else softwarecontainer_head(d)}"

python () {
    if not d.getVar('SOFTWARECONTAINER_BRANCH'):
        raise bb.parse.SkipRecipe('SOFTWARECONTAINER_BRANCH names no branch to build')
}
