//! `POST /api/rke/session/{id}/tunnel`: what is sent goes to the Content Server, what it says comes
//! back, both as long as they last.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender as BodySender};

use super::Shared;
use super::failure::Failure;
use super::handlers::{NOT_FOUND_OR_EXPIRED, PathId, parse_id};
use super::patience::Patience;
use crate::tunnel::{self, Receiver, Sender, TunnelError};

/// Answers that wait to be read by the client.
const WAITING: usize = 4;

pub(super) async fn connect(
    State(sessions): State<Shared>,
    PathId(id): PathId,
    Extension(patience): Extension<Patience>,
    body: Body,
) -> Result<Response, Failure> {
    let parsed = parse_id(&id)?.ok_or_else(|| Failure::session(NOT_FOUND_OR_EXPIRED, &id))?;
    let opened = tunnel::open(Arc::clone(&sessions), parsed).await;
    let (sender, receiver) = opened.map_err(|error| refusal(&error, &id))?;
    patience.have_no_end();
    let (answer, answer_body) = Channel::<Bytes, TunnelError>::new(WAITING);
    tokio::spawn(async move {
        // Either direction may end first; the tunnel ends with the second, or when one breaks.
        let _ = tokio::try_join!(send_all(sender, body), receive_all(receiver, answer));
    });
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, Body::new(answer_body)).into_response())
}

async fn send_all(mut sender: Sender, mut body: Body) -> Result<(), ()> {
    while let Some(frame) = body.frame().await {
        // The client hung up: whoever listens must not take this for the end of the data.
        let data = frame.map_err(|_| ())?.into_data();
        if let Ok(data) = data {
            sender.send(&data).await.map_err(report)?;
        }
    }
    sender.finish().await.map_err(report)
}

async fn receive_all(mut receiver: Receiver, mut answer: BodySender<Bytes, TunnelError>) -> Result<(), ()> {
    loop {
        match receiver.receive().await {
            Ok(Some(data)) => answer.send_data(data.into()).await.map_err(|_| ())?,
            Ok(None) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "a tunnel ended before its end");
                answer.abort(error);
                return Err(());
            }
        }
    }
}

fn report(error: TunnelError) {
    tracing::warn!(%error, "a tunnel ended before its end");
}

fn refusal(error: &TunnelError, id: &str) -> Failure {
    let status = match error {
        TunnelError::Key(error) => return Failure::key(*error, id),
        TunnelError::Unconfirmed => StatusCode::CONFLICT,
        TunnelError::Connection(_) | TunnelError::Refused(_) | TunnelError::Untrusted(_) => {
            StatusCode::BAD_GATEWAY
        }
    };
    Failure::new(status, error.to_string()).with("session_id", id)
}
