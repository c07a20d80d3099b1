//! Dependency cache of CI jobs: backends that grant, and the archive that is stored.
