SUMMARY = "Small image that runs apps in containers"
DESCRIPTION = "Boots to the agent on the system bus. A product adds its launcher and its manifests."

require core-image-softwarecontainer.inc
