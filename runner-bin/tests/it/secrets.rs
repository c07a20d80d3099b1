//! Masked values show nowhere.

use crate::project::{Project, files};

const SECRET: &str = "hunter2-correct-horse";

#[test]
fn a_masked_value_is_in_no_output_no_log_and_no_document() {
    let project = Project::new(
        "job:\n  script:\n    - echo \"it is $TOKEN\"\n    - printf 'hunter2-%s\\n' correct-horse\n    - exit 1\n",
    )
    .unwrap();
    project.write("../secrets.yml", format!("TOKEN: {{value: {SECRET}, masked: true}}\n")).unwrap();
    for output in ["human", "json"] {
        let ran = project.exec(&["--variables-file", "../secrets.yml", "--output", output]).unwrap();
        assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert!(text.contains("it is [MASKED]"), "{text}");
        assert!(!text.contains(SECRET), "{text}");
        for file in files(&project.path().join(".runner")).unwrap() {
            assert!(
                !String::from_utf8_lossy(&std::fs::read(&file).unwrap()).contains(SECRET),
                "{}",
                file.display()
            );
        }
    }
}

#[test]
fn a_masked_variable_stays_masked_with_a_value_of_the_command_line() {
    let project = Project::new("job:\n  script: echo \"it is $TOKEN\"\n").unwrap();
    project.write("../secrets.yml", "TOKEN: {value: another-one-entirely, masked: true}\n").unwrap();
    let token = format!("TOKEN={SECRET}");
    let ran = project.exec(&["--variables-file", "../secrets.yml", "--variable", &token]).unwrap();
    assert!(ran.stdout.contains("it is [MASKED]"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn the_environment_of_the_user_stays_with_the_user() {
    let project = Project::new("job:\n  script: env\n").unwrap();
    let output = project
        .command()
        .arg("exec")
        .env("GITHUB_TOKEN", SECRET)
        .env("CI_DEBUG_TRACE", "true")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("│ PATH="), "{text}");
    assert!(!text.contains(SECRET), "{text}");
}
