SUMMARY = "Configuration of the agent: it makes the bridge of the containers itself"

require softwarecontainer-config.inc

SOFTWARECONTAINER_CREATE_BRIDGE = "true"
