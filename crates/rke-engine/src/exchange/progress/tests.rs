use super::*;

fn ask(progress: &Progress, page: Option<&Page>, raida: u8) {
    let domain = Domain::new("a.test").expect("a domain");
    progress.step(&domain, page, Step::Asked(RaidaIndex::new(raida).expect("an index")));
}

#[tokio::test]
async fn who_is_slow_misses_steps_and_learns_it() {
    let progress = Progress::default();
    let mut watch = progress.watch(Viewer::Program).expect("a seat");
    for step in 0..KEPT_STEPS + 10 {
        ask(&progress, None, (step % 25) as u8);
    }
    assert_eq!(watch.next().await, Some(Event::Missed));
    let oldest = watch.next().await;
    assert!(
        matches!(&oldest, Some(Event::Share { raida, state: ShareState::Asked, .. }) if raida.get() == 10),
        "{oldest:?}"
    );
}

#[tokio::test]
async fn a_page_is_told_of_its_own_exchanges() {
    let progress = Progress::default();
    let page = Page::new("http://localhost:3000");
    let mut watch = progress.watch(Viewer::Page(page.clone())).expect("a seat");
    let mut programs = progress.watch(Viewer::Program).expect("a seat");
    let mut of_null = progress.watch(Viewer::NullOrigin).expect("a seat");
    let asked = [None, Some(&page), Some(&Page::new("http://localhost:3001")), Some(&page)];
    asked.iter().zip(0..).for_each(|(page, raida)| ask(&progress, *page, raida));
    progress.close();
    let mut told = [Vec::new(), Vec::new(), Vec::new()];
    for (watch, told) in [&mut watch, &mut programs, &mut of_null].into_iter().zip(&mut told) {
        while let Some(Event::Share { raida, .. }) = watch.next().await {
            told.push(raida.get());
        }
    }
    assert_eq!(told, [vec![1, 3], vec![0, 1, 2, 3], vec![]]);
}

#[tokio::test]
async fn seats_are_few_and_free_again_when_watchers_go() {
    let progress = Progress::default();
    let mut seats: Vec<Watch> = std::iter::from_fn(|| progress.watch(Viewer::Program)).collect();
    assert_eq!(seats.len(), MAX_WATCHERS);
    seats.pop();
    assert!(progress.watch(Viewer::Program).is_some());
    progress.close();
    assert_eq!(seats[0].next().await, None);
}
