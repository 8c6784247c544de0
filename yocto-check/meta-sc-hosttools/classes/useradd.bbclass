# Stands in for openembedded-core's class, which needs a shadow built from source: users and groups are not created here.
