//! `report`: one page, complete by itself.

#![allow(clippy::unwrap_used)] // clippy knows only functions marked as tests

mod common;

use std::path::Path;
use std::process::Command;

use common::{inspect, set, stdout};

#[test]
fn one_page_without_a_network() {
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("img"));
    stdout(&inspect(dir.path(), &["report", "img", "-o", "img.html"], b""), 0);
    let page = std::fs::read_to_string(dir.path().join("img.html")).unwrap();
    assert!(page.len() < 5 << 20);
    for word in
        ["<svg class=\"map\"", "<rect class=\"stored\"", "prefers-color-scheme: dark", "class=\"rows\"", "[heap]"]
    {
        assert!(page.contains(word), "{word}");
    }
    for word in ["http://", "https://", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(!page.contains('\u{1b}'));
}

/// Never above 5 MB, whatever the image: here one of a hundred thousand segments with names.
#[test]
fn a_large_image_makes_no_large_page() {
    use cryo_inspect::block::{Blocks, Table};
    use cryo_inspect::draw::html::{Bar, page};
    let mut blocks = Blocks::default();
    for _ in 0..100 {
        let mut table = Table::new(&["range", "what"]);
        (0..3000).for_each(|i| table.row([format!("{i:012x}"), "<x>".repeat(300)]));
        blocks.table(table);
    }
    let bar = |i: u64| Bar { title: "&".repeat(500), weight: i, parts: [i, 1, 1, 1, 1] };
    let picture = [("process".to_owned(), (0..100_000).map(bar).collect())];
    let text = page("image", &blocks.into_vec(), &picture);
    assert!(text.len() < 5 << 20, "{} bytes", text.len());
}

/// The page in a browser that has no network.
fn chromium(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "timeout", "60", "chromium", "--headless", "--no-sandbox"]);
    command.args(["--disable-gpu", "--hide-scrollbars", "--window-size=1000,800", "--virtual-time-budget=2000"]);
    command.arg(format!("--user-data-dir={}", dir.join("profile").display())).args(args);
    let page = format!("file://{}", dir.join("img.html").display());
    stdout(&command.arg(page).current_dir(dir).output().unwrap(), 0)
}

fn recorded(dir: &Path) -> String {
    let v1 = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/v1");
    let image = v1.join("rich.freeze");
    stdout(&inspect(dir, &["report", image.to_str().unwrap(), "-o", "img.html"], b""), 0);
    std::fs::read_to_string(dir.join("img.html")).unwrap()
}

/// What a person does with it: looks at the picture, turns the wheel over it, clicks on a column.
const PERSON: &str = r#"<script>
const said = {}, rects = [...document.querySelectorAll("svg.map rect")].map(r => r.getBoundingClientRect());
said.drawn = rects.length > 5 && rects.every(r => r.height > 0 && r.width > 0);
const map = document.querySelector("svg.map"), turn = by => map.dispatchEvent(new WheelEvent("wheel", { deltaY: by, bubbles: true, cancelable: true }));
turn(-100);
said.zoomed = Number(map.getAttribute("viewBox").split(" ")[2]) < 1000;
map.dispatchEvent(new MouseEvent("dblclick"));
said.whole = map.getAttribute("viewBox");
const head = [...document.querySelectorAll(".rows thead th")].find(h => h.textContent === "size");
const sizes = () => [...head.closest("table").tBodies[0].rows].map(row => Number(row.cells[head.cellIndex].dataset.v));
head.click(); said.up = sizes();
head.click(); said.down = sizes();
said.fetched = performance.getEntriesByType("resource").length;
document.body.innerHTML = "<pre id=said>" + JSON.stringify(said) + "</pre>";
</script>"#;

#[test]
fn a_browser_draws_zooms_and_sorts_it() {
    let dir = tempfile::tempdir().unwrap();
    let page = recorded(dir.path());
    std::fs::write(dir.path().join("img.html"), page.replace("</body>", &format!("{PERSON}</body>"))).unwrap();
    let dom = chromium(dir.path(), &["--dump-dom"]);
    let (_, said) = dom.split_once("<pre id=\"said\">").unwrap_or_else(|| panic!("{dom}"));
    let said: serde_json::Value = serde_json::from_str(said.split_once("</pre>").unwrap().0).unwrap();
    assert_eq!((&said["drawn"], &said["zoomed"], &said["whole"]), (&true.into(), &true.into(), &"0 0 1000 60".into()));
    assert_eq!(said["fetched"], 0, "{said}");
    let sizes = |key: &str| -> Vec<u64> { said[key].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect() };
    let (up, down) = (sizes("up"), sizes("down"));
    assert!(up.len() > 2 && up.is_sorted() && up.first() < up.last(), "{up:?}");
    assert_eq!(down, up.into_iter().rev().collect::<Vec<_>>());
}

/// A screenshot in each theme: the background, and each colour of the picture that the image has a reason for.
#[test]
fn a_screenshot_in_both_themes() {
    const LIGHT: [[u8; 3]; 4] = [[0xff, 0xff, 0xff], [0x35, 0x69, 0xc4], [0x8a, 0x56, 0xc2], [0xc9, 0xce, 0xd8]];
    const DARK: [[u8; 3]; 4] = [[0x14, 0x18, 0x1f], [0x6f, 0x9c, 0xf0], [0xb9, 0x8c, 0xf0], [0x45, 0x4d, 0x5b]];
    let dir = tempfile::tempdir().unwrap();
    recorded(dir.path());
    for (theme, [back, stored, shared, zero]) in [(1, LIGHT), (0, DARK)] {
        let file = dir.path().join(format!("{theme}.png"));
        let screenshot = format!("--screenshot={}", file.display());
        chromium(dir.path(), &[&format!("--blink-settings=preferredColorScheme={theme}"), &screenshot]);
        let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&file).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let about = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((about.width, about.height), (1000, 800));
        let bytes = about.line_size / about.width as usize;
        let count = |colour: [u8; 3]| pixels.chunks_exact(bytes).filter(|p| p[..3] == colour).count();
        assert_eq!(pixels[..3], back, "theme {theme}");
        // Some hundred pixels each: not only the squares of the key.
        let counts = [stored, shared, zero].map(count);
        assert!(counts.iter().all(|n| *n > 500), "theme {theme}: {counts:?}");
        // And there is text.
        assert!(count(back) < 800 * 1000 * 99 / 100);
    }
}
