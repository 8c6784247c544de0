# In this form the layer changes no signature of a build that does not ask for it.
require ${@bb.utils.contains('DISTRO_FEATURES', 'process-containment', 'qtapplicationmanager_softwarecontainer.inc', '', d)}
