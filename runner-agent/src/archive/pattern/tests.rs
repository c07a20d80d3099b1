use std::ffi::OsStr;

use proptest::prelude::*;

use super::*;

const FOLDER: &str = "/builds/group/project";

fn pattern(text: &str) -> Result<Pattern, PatternError> {
    Pattern::new(text, Path::new(FOLDER))
}

fn check(text: &str, matching: &[&str], others: &[&str]) {
    let pattern = pattern(text).unwrap();
    for path in matching {
        assert!(pattern.matches(Path::new(path)), "{text} should match {path}");
    }
    for path in others {
        assert!(!pattern.matches(Path::new(path)), "{text} should not match {path}");
    }
}

#[test]
fn wildcards_stay_within_a_folder() {
    check("*.txt", &["a.txt", ".txt", ".hidden.txt"], &["a/b.txt", "a.txt2", "txt"]);
    check("a?c", &["abc", "aäc", "a.c"], &["ac", "abbc", "a/c"]);
    check("*", &["a", ".git", "a b\nc"], &["a/b"]);
    check("a*b*c", &["abc", "axxbyyc", "abcbc"], &["ab", "acb", "abcd"]);
    check("build/*/lib", &["build/x/lib"], &["build/lib", "build/x/y/lib"]);
}

#[test]
fn double_stars_are_any_number_of_folders() {
    check("**/*.xml", &["a.xml", "a/b.xml", "a/b/c/.xml"], &["a.xml/b"]);
    check("a/**", &["a", "a/b", "a/b/c"], &["b", "ab"]);
    check("a/**/z", &["a/z", "a/b/z", "a/b/c/z"], &["a", "z", "a/b", "az"]);
    check("**", &["a", "a/b"], &[]);
    check("**/a/**", &["a", "x/a", "x/a/y", "a/y/z"], &["b", "x/b"]);
    check("a**b", &["ab", "axxb"], &["a/b"]);
}

#[test]
fn classes_are_those_of_doublestar() {
    check("[abc]", &["a", "c"], &["d", "", "ab"]);
    check("[a-cx-z]", &["b", "y"], &["m"]);
    check("[^a-c]", &["d", "ä"], &["a"]);
    check("[!a-c]", &["d"], &["a"]);
    check("[a-]", &["a", "-"], &["b"]);
    check(r"[\]]", &["]"], &["\\"]);
    check("[ä-ü]", &["ö"], &["o"]);
    check("v[0-9].[0-9]*", &["v1.2", "v1.23-rc"], &["v1.", "va.1"]);
}

#[test]
fn a_backslash_takes_the_meaning_away() {
    check(r"\*", &["*"], &["a", r"\*"]);
    check(r"a\[1\]", &["a[1]"], &["a1"]);
    check(r"\{a,b\}", &["{a,b}"], &["a"]);
}

#[test]
fn braces_are_alternatives() {
    check("{a,b/c}.txt", &["a.txt", "b/c.txt"], &["b.txt"]);
    check("{dist,build}/**", &["dist", "build/a/b"], &["src"]);
}

#[test]
fn surplus_slashes_and_dots_mean_nothing() {
    for text in ["./dist", "dist/", "dist//", ".//./dist/.", "x/../dist", "/builds/group/project/dist"] {
        check(text, &["dist"], &["dist/a", "x"]);
    }
    check("../project/dist", &["dist"], &[]);
    check("", &[""], &["a"]);
    check(".", &[""], &["a"]);
    check("/builds/group/project/", &[""], &["a"]);
}

#[test]
fn paths_that_lead_out_are_refused() {
    for text in
        ["..", "../x", "/etc/passwd", "/", "a/../../x", "../*", "/builds/group/*/x", "/builds/group/projectx"]
    {
        assert_eq!(pattern(text), Err(PatternError::Outside), "{text}");
    }
}

#[test]
fn malformed_patterns_are_refused() {
    for text in ["[a", "[]", "[^]", "a\\", "{a,b", "[a-"] {
        assert!(matches!(pattern(text), Err(PatternError::Malformed(_))), "{text}");
    }
}

#[test]
fn names_need_not_be_utf8() {
    let path = |bytes: &[u8]| Path::new(OsStr::from_bytes(bytes)).to_owned();
    assert!(pattern("*.o").unwrap().matches(&path(b"\xff\xfe.o")));
    assert!(pattern("a?b").unwrap().matches(&path(b"a\xffb")));
    assert!(!pattern("a?b").unwrap().matches(&path(b"a\xff\xffb")));
}

#[test]
fn many_stars_take_no_time() {
    let text = "*a".repeat(50) + "b";
    assert!(!pattern(&text).unwrap().matches(Path::new(&"a".repeat(250))));
    let folders = "**/a/".repeat(30) + "b";
    assert!(!pattern(&folders).unwrap().matches(Path::new(&"a/".repeat(200))));
}

proptest! {
    #[test]
    fn a_name_without_meaning_matches_itself_alone(name in "[a-z .,()@äß\n]{1,12}", other in "[a-z]{1,3}") {
        prop_assume!(!name.split('/').any(|part| part == "." || part == ".."));
        let read = pattern(&name).unwrap();
        prop_assert!(read.matches(Path::new(&name)));
        prop_assert_eq!(read.matches(Path::new(&other)), name == other);
    }

    #[test]
    fn no_text_makes_it_panic(text in r"[\[\]{}*?\\!^a/.,-]{0,30}", path in "[a./*]{0,20}") {
        if let Ok(read) = pattern(&text) {
            read.matches(Path::new(&path));
        }
    }
}
