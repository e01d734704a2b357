use super::*;

#[tokio::test]
async fn an_alarm_goes_off_at_its_moment_and_can_be_set_again() {
    let alarm = Alarm::new().expect("a timer");
    for _ in 0..2 {
        let moment = Moment::now().after(Duration::from_millis(30));
        alarm.wait_until(moment).await.expect("waited");
        let late = Moment::now().since(moment);
        assert!(Moment::now() >= moment && late < Duration::from_secs(20), "{late:?}");
    }
    alarm.wait_until(Moment(1)).await.expect("long ago");
}
