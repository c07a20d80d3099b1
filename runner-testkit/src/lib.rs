//! Fakes and conformance suites for the traits of runner-core.
