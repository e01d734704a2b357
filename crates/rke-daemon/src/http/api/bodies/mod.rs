//! `POST` to `session` and to `export`, with a JSON body, and to `encrypt`, `decrypt`, `seal` and `open`. Those four take their
//! data as JSON, or as a raw body of any size that is processed as it arrives. `encrypt` and `decrypt` also take it
//! by `GET`. The four work at either end.

mod json;
mod late_reader;
mod raw;
mod streamed;
mod whole;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use rke_engine::model::viewer::Viewer;

#[cfg(test)]
pub(in crate::http) use self::json::{ToCreate, ToDecrypt, ToEncrypt, ToExport, ToOpen, ToSeal};
pub(in crate::http) use self::whole::{Decryption, Encryption};
use super::Shared;
use super::end::End;
use crate::http::message::body::Kind;
use crate::http::message::failure::Failure;
use crate::http::message::query::Query;

type Answered = Result<Response, Failure>;

pub(in crate::http) async fn create(
    State(sessions): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    request: Request,
) -> Answered {
    json::create(&sessions, &viewer, request).await
}

pub(in crate::http) async fn encrypt<E: End>(State(end): State<E>, request: Request) -> Answered {
    let encrypted = if request.method() == Method::GET {
        Encryption::of_query(&Query::of(request.uri()))?.run_when_ready(&end).await
    } else if Kind::of(request.headers())? == Kind::Json {
        let given = json::read(request, "session_id and plaintext").await?;
        Encryption::of_json(given)?.run_when_ready(&end).await
    } else {
        return raw::encrypt(&end, request).await;
    };
    Ok(encrypted?.into_response())
}

pub(in crate::http) async fn decrypt<E: End>(State(end): State<E>, request: Request) -> Answered {
    let decrypted = if request.method() == Method::GET {
        Decryption::of_query(&Query::of(request.uri()))?.run_when_ready(&end).await
    } else if Kind::of(request.headers())? == Kind::Json {
        let given = json::read(request, "session_id, ciphertext and nonce").await?;
        Decryption::of_json(given)?.run_when_ready(&end).await
    } else {
        return raw::decrypt(&end, request).await;
    };
    Ok(decrypted?.into_response())
}

pub(in crate::http) async fn seal<E: End>(State(end): State<E>, request: Request) -> Answered {
    match Kind::of(request.headers())? {
        Kind::Json => json::seal(&end, request).await,
        Kind::Raw => raw::seal(&end, request).await,
    }
}

/// Exports take JSON only.
pub(in crate::http) async fn export<E: End>(State(end): State<E>, request: Request) -> Answered {
    json::export(&end, request).await
}

pub(in crate::http) async fn open<E: End>(State(end): State<E>, request: Request) -> Answered {
    match Kind::of(request.headers())? {
        Kind::Json => json::open(&end, request).await,
        Kind::Raw => raw::open(&end, request).await,
    }
}
