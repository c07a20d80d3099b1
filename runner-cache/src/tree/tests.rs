use std::os::unix::fs::symlink;

use super::*;

const FILE: Attributes = Attributes { mode: 0o644, modified: None };
const FOLDER: Attributes = Attributes { mode: 0o755, modified: None };

/// A folder to write into, and beside it one that nothing may touch.
struct Place {
    all: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let all = tempfile::tempdir().unwrap();
        fs_err::create_dir(all.path().join("root")).unwrap();
        fs_err::create_dir(all.path().join("outside")).unwrap();
        fs_err::write(all.path().join("outside/keep"), "kept").unwrap();
        Self { all }
    }

    fn root(&self) -> PathBuf {
        self.all.path().join("root")
    }

    fn writer(&self) -> TreeWriter {
        TreeWriter::new(&self.root(), &Interrupt::default()).unwrap()
    }

    fn assert_outside_is_untouched(&self) {
        let outside = self.all.path().join("outside");
        assert_eq!(fs_err::read_to_string(outside.join("keep")).unwrap(), "kept");
        assert_eq!(fs_err::read_dir(outside).unwrap().count(), 1);
    }
}

fn write(writer: &mut TreeWriter, path: &str, text: &str) -> Result<(), TreeError> {
    writer.file(Path::new(path), FILE, text.len() as u64, &mut text.as_bytes())
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    for name in ["../x", "/etc/passwd", "a/../../x", "a/..", "", ".", "./", "a\0b"] {
        let refused = relative_path(name.as_bytes()).unwrap_err();
        assert!(matches!(refused, TreeError::Refused { .. }), "{name:?}");
    }
    assert_eq!(relative_path(b"./a//b/./c/").unwrap(), Path::new("a/b/c"));
    assert_eq!(relative_path(b"a\xff/\n..b").unwrap(), Path::new(OsStr::from_bytes(b"a\xff/\n..b")));
}

#[test]
fn nothing_is_written_through_a_link_that_leads_out() {
    let place = Place::new();
    symlink("../outside", place.root().join("out")).unwrap();
    symlink(place.all.path().join("outside"), place.root().join("absolute")).unwrap();
    symlink("out", place.root().join("chain")).unwrap();
    let mut writer = place.writer();
    for path in ["out/x", "absolute/x", "chain/x", "out/keep", "out/a/b"] {
        assert!(matches!(write(&mut writer, path, "bad"), Err(TreeError::Refused { .. })), "{path}");
        assert!(writer.folder(Path::new(path).parent().unwrap(), FOLDER).is_err(), "{path}");
    }
    assert!(matches!(
        writer.hard_link(Path::new("mine"), Path::new("out/keep")),
        Err(TreeError::Refused { .. })
    ));
    writer.finish().unwrap();
    place.assert_outside_is_untouched();
}

#[test]
fn a_link_that_the_archive_brings_is_not_written_through() {
    let place = Place::new();
    let mut writer = place.writer();
    writer.symbolic_link(Path::new("evil"), b"../outside").unwrap();
    write(&mut writer, "evil/x", "bad").unwrap();
    assert!(writer.finish().is_err(), "the folder stands where the link should be");
    place.assert_outside_is_untouched();
    assert!(place.root().join("evil/x").is_file());
}

#[test]
fn a_file_replaces_a_link_and_not_what_it_points_to() {
    let place = Place::new();
    symlink("../outside/keep", place.root().join("link")).unwrap();
    let mut writer = place.writer();
    write(&mut writer, "link", "mine").unwrap();
    writer.finish().unwrap();
    assert!(fs_err::symlink_metadata(place.root().join("link")).unwrap().is_file());
    place.assert_outside_is_untouched();
}

#[test]
fn a_link_within_the_folder_is_followed() {
    let place = Place::new();
    fs_err::create_dir(place.root().join("real")).unwrap();
    symlink("real", place.root().join("alias")).unwrap();
    let mut writer = place.writer();
    write(&mut writer, "alias/x", "here").unwrap();
    writer.finish().unwrap();
    assert_eq!(fs_err::read_to_string(place.root().join("real/x")).unwrap(), "here");
}

#[test]
fn links_are_kept_wherever_they_point() {
    let place = Place::new();
    let mut writer = place.writer();
    for (name, target) in [("absolute", "/nowhere/at all"), ("up", "../../.."), ("self", "self")] {
        writer.symbolic_link(Path::new(name), target.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(fs_err::read_link(place.root().join("up")).unwrap(), Path::new("../../.."));
    assert_eq!(fs_err::read_link(place.root().join("absolute")).unwrap(), Path::new("/nowhere/at all"));
}

#[test]
fn folders_that_are_read_only_can_be_filled_and_stay_so() {
    let place = Place::new();
    let old = place.root().join("old");
    fs_err::create_dir(&old).unwrap();
    fs_err::set_permissions(&old, Permissions::from_mode(0o555)).unwrap();
    let mut writer = place.writer();
    writer.folder(Path::new("new"), Attributes { mode: 0o555, modified: None }).unwrap();
    write(&mut writer, "new/x", "1").unwrap();
    write(&mut writer, "old/x", "2").unwrap();
    writer.finish().unwrap();
    for name in ["old", "new"] {
        let mode = fs_err::metadata(place.root().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o555, "{name}");
    }
}

#[test]
fn a_file_of_another_size_than_said_is_an_error() {
    let place = Place::new();
    let mut writer = place.writer();
    for (size, text) in [(2, "long"), (9, "short")] {
        let result = writer.file(Path::new("x"), FILE, size, &mut text.as_bytes());
        assert!(matches!(result, Err(TreeError::Size { .. })));
    }
}

#[test]
fn files_folders_and_links_take_each_others_place() {
    let place = Place::new();
    fs_err::write(place.root().join("file"), "").unwrap();
    fs_err::create_dir(place.root().join("folder")).unwrap();
    fs_err::create_dir(place.root().join("full")).unwrap();
    fs_err::write(place.root().join("full/x"), "mine").unwrap();
    let mut writer = place.writer();
    write(&mut writer, "file/x", "1").unwrap();
    write(&mut writer, "folder", "2").unwrap();
    assert!(write(&mut writer, "full", "3").is_err(), "a folder with files is not removed");
    writer.finish().unwrap();
    assert_eq!(fs_err::read_to_string(place.root().join("full/x")).unwrap(), "mine");
    assert_eq!(fs_err::read_to_string(place.root().join("file/x")).unwrap(), "1");
}

#[test]
fn a_set_user_id_program_loses_that_bit() {
    let place = Place::new();
    let mut writer = place.writer();
    let attributes = Attributes { mode: 0o104_755, modified: None };
    writer.file(Path::new("tool"), attributes, 0, &mut io::empty()).unwrap();
    writer.finish().unwrap();
    let mode = fs_err::metadata(place.root().join("tool")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}

#[test]
fn an_interrupt_ends_the_work() {
    let place = Place::new();
    let interrupt = Interrupt::default();
    let mut writer = TreeWriter::new(&place.root(), &interrupt).unwrap();
    interrupt.trigger();
    let error = write(&mut writer, "x", "1").unwrap_err().during("write");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
