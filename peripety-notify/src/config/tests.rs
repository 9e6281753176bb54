use super::*;

fn load(text: &str) -> Result<Config, String> {
    Config::from_text(Path::new("n.conf"), text).map_err(|error| error.to_string())
}

#[test]
fn the_shipped_configuration_is_right_also_with_its_examples_switched_on() {
    let shipped = include_str!("../../../dist/peripety-notify.conf");
    assert_eq!(load(shipped).unwrap().notify.len(), 0);
    let on: String =
        shipped.lines().map(|line| line.strip_prefix("#! ").unwrap_or(line).to_owned() + "\n").collect();
    let config = load(&on).unwrap();
    assert!(config.notify.len() >= 6, "{}", config.notify.len());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, says) in [
        ("[[notify]]\nnam = 'x'\n", "n.conf:2: unknown field `nam`"),
        ("\n\n[[notify]\n", "n.conf:3: "),
        (
            "[[notify]]\nname = 'x'\n",
            "receiver 'x': it has no output; give it exactly one of the tables [notify.exec]",
        ),
        ("[[notify]]\nname = 'x'\n[notify.stdout]\n[notify.exec]\nprogram='/x'\n", "it has exec and stdout"),
        ("[[notify]]\nname = '../x'\n[notify.stdout]\n", "a name has letters"),
        ("[[notify]]\nname='x'\n[notify.stdout]\n[[notify]]\nname='x'\n[notify.stdout]\n", "there are two"),
        ("[[notify]]\nname='x'\nseverity='bad'\n[notify.stdout]\n", "n.conf:3: 'bad' is no severity"),
        ("[[notify]]\nname='x'\nremind='soon'\n[notify.stdout]\n", "write '24h', '30m' or 'never'"),
        ("[[notify]]\nname='x'\nquiet=['night']\n[notify.stdout]\n", "write '22:00-06:00'"),
        ("[[notify]]\nname='x'\nrate='many'\n[notify.stdout]\n", "write '20/1h'"),
        (
            "[[notify]]\nname='x'\n[notify.webhook]\nurl='https://x/'\n[notify.webhook.headers]\nAuthorization='x'\n",
            "token = 'FILE'",
        ),
        ("[[notify]]\nname='x'\n[notify.webhook]\nurl='http://far.example/'\ntoken='t'\n", "use https"),
        ("[[notify]]\nname='x'\n[notify.webhook]\nurl='https://x/'\nform='matrix'\ntoken='t'\n", "room"),
        ("[[notify]]\nname='x'\n[notify.mail]\nfrom='a@b'\nto=[]\n", "at least one address"),
        (
            "[[notify]]\nname='x'\n[notify.mail]\nfrom='a@b'\nto=['c@d']\nserver='far.example'\ntls='none'\n",
            "this machine only",
        ),
        ("[[notify]]\nname='x'\n[notify.irc]\nserver='h'\nchannel='none'\n", "is no channel"),
        ("[[notify]]\nname='x'\n[notify.syslog]\nserver='h:x'\n", "HOST:PORT"),
        ("[[notify]]\nname='x'\n[notify.exec]\nprogram='x'\n", "whole path"),
    ] {
        let error = load(text).unwrap_err();
        assert!(error.contains(says), "{text}\n{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn what_is_not_said_has_a_value_that_fits_most() {
    let config = load("[[notify]]\nname='x'\n[notify.stdout]\n").unwrap();
    let notify = &config.notify[0];
    assert_eq!((notify.severity, notify.what, notify.queue), (Severity::Warning, What::Incidents, 1000));
    assert_eq!(notify.remind, Some(SignedDuration::from_hours(24)));
    assert!(!config.wants_events());
}
