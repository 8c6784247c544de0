// Descriptors by their numbers, as ExecuteWithFds takes them.
#pragma once

#include <QDBusUnixFileDescriptor>
#include <QMap>

using Descriptors = QMap<uint, QDBusUnixFileDescriptor>;
Q_DECLARE_METATYPE(Descriptors)
