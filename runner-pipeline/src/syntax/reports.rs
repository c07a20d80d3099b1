//! The reports of `artifacts:reports`: how each is stored, and under which name.

use runner_core::job::ArtifactFormat::{self, Gzip, Raw, Zip};

/// The name in the file, the file's name, and the format.
type Report = (&'static str, &'static str, ArtifactFormat);

/// All reports, after GitLab's `Enums::Ci::JobArtifact`.
const REPORTS: &[Report] = &[
    ("accessibility", "gl-accessibility.json", Raw),
    ("annotations", "gl-annotations.json", Gzip),
    ("api_fuzzing", "gl-api-fuzzing-report.json", Raw),
    ("browser_performance", "browser-performance.json", Raw),
    ("cluster_image_scanning", "gl-cluster-image-scanning-report.json", Raw),
    ("codequality", "gl-code-quality-report.json", Raw),
    ("container_scanning", "gl-container-scanning-report.json", Raw),
    ("coverage_fuzzing", "gl-coverage-fuzzing.json", Raw),
    ("cyclonedx", "gl-sbom.cdx.json", Gzip),
    ("dast", "gl-dast-report.json", Raw),
    ("dependency_scanning", "gl-dependency-scanning-report.json", Raw),
    ("dotenv", ".env", Gzip),
    ("junit", "junit.xml", Gzip),
    ("license_scanning", "gl-license-scanning-report.json", Raw),
    ("load_performance", "load-performance.json", Raw),
    ("lsif", "lsif.json", Zip),
    ("metrics", "metrics.txt", Gzip),
    ("performance", "performance.json", Raw),
    ("repository_xray", "gl-repository-xray.json", Gzip),
    ("requirements", "requirements.json", Raw),
    ("requirements_v2", "requirements_v2.json", Raw),
    ("sarif", "gl-sarif-report.sarif", Raw),
    ("sast", "gl-sast-report.json", Raw),
    ("scip", "index.scip", Zip),
    ("secret_detection", "gl-secret-detection-report.json", Raw),
    ("terraform", "tfplan.json", Raw),
];

/// The formats of `coverage_report`.
pub(crate) const COVERAGE: &[(&str, &str)] =
    &[("cobertura", "cobertura-coverage.xml"), ("jacoco", "jacoco-coverage.xml")];

/// The report that is named so in the file.
pub(crate) fn find(name: &str) -> Option<&'static Report> {
    REPORTS.iter().find(|report| report.0 == name)
}

/// The names of all reports.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    REPORTS.iter().map(|report| report.0).chain(["coverage_report"])
}
