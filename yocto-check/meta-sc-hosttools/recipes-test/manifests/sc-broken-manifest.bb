SUMMARY = "A service manifest with a mistake in line 7: its build has to fail and say so"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "file://com.example.broken.json"

inherit softwarecontainer-manifest

SOFTWARECONTAINER_MANIFESTS = "com.example.broken.json"

EXCLUDE_FROM_WORLD = "1"
