//! Jobs from a .gitlab-ci.yml on disk.
