use jiff::Timestamp;

use super::*;
use crate::message::{Kind, Message, sample};

const FORMS: [Form; 10] = [
    Form::Json,
    Form::Ntfy,
    Form::Slack,
    Form::Mattermost,
    Form::Teams,
    Form::Discord,
    Form::Pagerduty,
    Form::Alertmanager,
    Form::Gotify,
    Form::Matrix,
];

fn request(form: Form, batch: &[&Message]) -> (Request, Value) {
    let labels = BTreeMap::from([("site".to_owned(), "north".to_owned())]);
    let part =
        Part { room: "!r:s", token: Some("tok"), labels: &labels, refresh: Some(Duration::from_secs(60)) };
    let request = form.request("https://s.example/base", batch, &part);
    let body = serde_json::from_slice(&request.body).unwrap();
    (request, body)
}

#[test]
fn every_form_says_what_is_wrong_and_nothing_of_the_kernel_steers_it() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let mut incident = sample();
    incident.title = "sdf: \u{1b}[31munreadable\u{202e} <@everyone> \"x\" \u{7}".into();
    let message = Message::of_incident(Kind::Opened, &incident, now);
    for form in FORMS {
        let (request, body) = request(form, &[&message]);
        // The form of our own has the incident itself, as it is; its words are for people.
        let words = |message: &Value| format!("{} {}", message["title"], message["text"]);
        let text = if form == Form::Json { words(&body["messages"][0]) } else { body.to_string() };
        assert!(
            text.contains("unreadable") && !text.contains("\\u001b") && !text.contains("\\u0007"),
            "{text}"
        );
        assert!(request.url.starts_with("https://s.example/"), "{}", request.url);
    }
}

#[test]
fn a_service_that_knows_alerts_is_told_of_one_for_an_incident_and_of_its_end() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let mut incident = sample();
    let opened = Message::of_incident(Kind::Opened, &incident, now);
    incident.revision = 4;
    incident.resolved = Some(now);
    let over = Message::of_incident(Kind::Resolved, &incident, now);
    let (_, first) = request(Form::Pagerduty, &[&opened]);
    let (_, last) = request(Form::Pagerduty, &[&over]);
    assert_eq!((&first["event_action"], &last["event_action"]), (&"trigger".into(), &"resolve".into()));
    assert_eq!(first["dedup_key"], last["dedup_key"]);
    assert_eq!(first["routing_key"], "tok");

    let (request_of, first) = request(Form::Alertmanager, &[&opened]);
    let (_, last) = request(Form::Alertmanager, &[&over]);
    assert_eq!(request_of.url, "https://s.example/base/api/v2/alerts");
    assert_eq!(first.as_array().unwrap().len(), 1);
    assert_eq!(first[0]["labels"], last[0]["labels"]);
    assert_eq!(first[0]["labels"]["site"], "north");
    let time = |value: &Value| value["endsAt"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(time(&first[0]) > now && last.as_array().unwrap().iter().all(|alert| time(alert) <= now));
}

#[test]
fn a_second_try_is_the_same_request() {
    let message = Message::of_incident(Kind::Opened, &sample(), Timestamp::from_second(0).unwrap());
    for form in FORMS {
        let (first, again) = (request(form, &[&message]).0, request(form, &[&message]).0);
        assert_eq!((first.url, first.body), (again.url, again.body), "{form:?}");
    }
    let (matrix, _) = request(Form::Matrix, &[&message]);
    assert_eq!(matrix.method, Method::Put);
    assert!(matrix.url.contains("/rooms/%21r%3As/send/m.room.message/") && matrix.url.ends_with(&message.id));
}

#[test]
fn many_messages_are_one_where_that_can_be() {
    let now = Timestamp::from_second(0).unwrap();
    let messages: Vec<Message> = (0..60)
        .map(|n| {
            let mut incident = sample();
            incident.incident_id = peripety_model::EventId::from_u128(n);
            Message::of_incident(Kind::Opened, &incident, now)
        })
        .collect();
    let batch: Vec<&Message> = messages.iter().collect();
    for form in FORMS.into_iter().filter(|form| form.groups()) {
        let (request, body) = request(form, &batch);
        assert!(request.body.len() < 400_000, "{form:?}");
        if form == Form::Discord {
            assert!(body["content"].as_str().unwrap().chars().count() <= 2000);
            assert!(body["embeds"][0]["description"].as_str().unwrap().chars().count() <= 4096);
        }
    }
}
