use super::*;

fn check(file: &str, text: &str, expected: &[(&str, &str)]) {
    let variables = parse_variables(file, text).unwrap();
    let found: Vec<_> = variables.0.iter().map(|variable| (&*variable.key, &*variable.value)).collect();
    assert_eq!(found, expected, "{text:?}");
}

/// The places and messages of all mistakes.
fn mistakes(file: &str, text: &str) -> Vec<String> {
    parse_variables(file, text)
        .unwrap_err()
        .0
        .iter()
        .map(|mistake| format!("{}:{} {}", mistake.line, mistake.column, mistake.message))
        .collect()
}

#[test]
fn an_env_file_is_read_as_shells_read_it() {
    check(
        ".env",
        "A=1\n# remark\n\n  export B = two words # remark\r\nC=",
        &[("A", "1"), ("B", "two words"), ("C", "")],
    );
    check(
        "x.env",
        "A='a \"b\" $C'\nB=\"a\\n\\\"b\\\" \\x\" # remark",
        &[("A", "a \"b\" $C"), ("B", "a\n\"b\" \\x")],
    );
    check("vars", "KEY=\"-----BEGIN\nä\n-----END\"\nB=1", &[("KEY", "-----BEGIN\nä\n-----END"), ("B", "1")]);
    check(".env", "A=a#b\nB=#c\nC=a=b", &[("A", "a#b"), ("B", ""), ("C", "a=b")]);
    check(".env", "\u{feff}A=ä", &[("A", "ä")]);
    check(".env", "", &[]);
}

#[test]
fn a_value_of_an_env_file_is_not_expanded() {
    assert!(parse_variables(".env", "A=pa$word").unwrap().0[0].raw);
}

#[test]
fn mistakes_of_an_env_file_come_all_at_once_with_their_places() {
    let text = "A=1\n  nonsense\n1B=2\nC=\"open\nD=1\n";
    assert_eq!(
        mistakes(".env", text),
        [
            "2:3 this line sets no variable",
            "3:1 \"1B\" is no name of a variable",
            "4:3 the \" is never closed"
        ]
    );
    assert_eq!(mistakes(".env", "A='x' y"), ["1:7 there is more after the closing quote"]);
}

#[test]
fn a_yaml_file_maps_names_to_values_or_to_more() {
    check(
        "a.yml",
        "A: 1\nB: yes\nC: 'x'\nD:\nE: {value: 5}\n",
        &[("A", "1"), ("B", "true"), ("C", "x"), ("D", ""), ("E", "5")],
    );
    check("a.yaml", "# nothing\n", &[]);
    let variables =
        parse_variables("a.yml", "T: {value: s3cret, masked: true, file: true, raw: true}").unwrap();
    let expected = Variable {
        key: "T".into(),
        value: "s3cret".into(),
        public: false,
        masked: true,
        file: true,
        raw: true,
    };
    assert_eq!(variables.0, [expected]);
}

#[test]
fn mistakes_of_a_yaml_file_come_all_at_once_with_their_places() {
    let text = "A: {masked: true}\nB: {value: 1, maskd: true}\nC: {value: 1, raw: 1}\nD: [1]\n'e f': 1\n";
    let found = mistakes("a.yml", text);
    let lines: Vec<_> = found.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["1", "2", "3", "4", "5"], "{found:?}");
    assert_eq!(mistakes("a.yml", "- A\n").len(), 1);
}
