# Delete a session
curl "http://localhost:8080/api/rke/session/delete?session_id=a1b2c3d4e5f67890a1b2c3d4e5f67890"
# Delete and verify
SESSION_ID="a1b2c3d4e5f67890a1b2c3d4e5f67890"
curl "http://localhost:8080/api/rke/session/delete?session_id=$SESSION_ID" | jq
