/* Debian's shadow is built with _FORTIFY_SOURCE and opens the lists through __open_2, which Debian's pseudo does not know:
   its change of the root would not apply. openembedded-core patches its shadow for the same reason. */
#include <fcntl.h>

int __open_2(const char *path, int flags)
{
	return open(path, flags);
}
