use super::*;

#[test]
fn every_file_of_the_folders_is_served_and_none_of_them_stands_in_markup() {
    for (folder, page, place) in [("console", "/", "/console/"), ("reference", "/docs", "/docs/")] {
        let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
        for file in std::fs::read_dir(folder).expect("the folder") {
            let name = file.expect("a file").file_name().into_string().expect("UTF-8");
            let path = if name == "index.html" { page.into() } else { format!("{place}{name}") };
            assert!(FILES.iter().any(|file| file.row.path == path), "{name} is not served");
        }
    }
    for File { row: Row { path, .. }, kind, bytes } in &FILES {
        let text = String::from_utf8_lossy(bytes);
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!text.contains(forbidden), "{forbidden} in {path}");
        }
        for forbidden in ["<style", "style=", "onclick=", "javascript:", "http://", "https://"] {
            assert!(*kind != HTML || !text.contains(forbidden), "{forbidden} in {path}");
        }
    }
}

#[test]
fn the_console_loads_all_its_modules_at_once() {
    let page = include_str!("../../../../console/index.html");
    for File { row: Row { path, .. }, .. } in
        FILES.iter().filter(|file| file.row.path.starts_with("/console/"))
    {
        let is_module = path.ends_with(".js") && !["/console/main.js", "/console/theme.js"].contains(path);
        let preloaded = page.contains(&format!(r#"<link rel="modulepreload" href="{path}">"#));
        assert_eq!(is_module, preloaded, "{path}");
    }
}

#[test]
fn every_place_that_the_console_leads_to_is_in_it() {
    let page = include_str!("../../../../console/index.html");
    let mut found = 0;
    for File { row: Row { path, .. }, bytes, .. } in &FILES {
        if path.starts_with("/docs") {
            continue;
        }
        let text = String::from_utf8_lossy(bytes);
        let links = text.match_indices("'#").chain(text.match_indices("\"#"));
        for (at, _) in links {
            let id = text[at + 2..].split(['\'', '"']).next().unwrap_or_default();
            let is_id = id.len() > 2 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            if is_id && !path.ends_with(".svg") {
                found += 1;
                assert!(page.contains(&format!(r#"id="{id}""#)), "{path} leads to #{id}");
            }
        }
    }
    assert!(found > 40, "{found} links were found");
}
