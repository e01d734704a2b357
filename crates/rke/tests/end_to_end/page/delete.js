const API_HOST = 'http://localhost:8080';
async function deleteRkeSession(sessionId) {
const url = `${API_HOST}/api/rke/session/delete?session_id=${sessionId}`;
const response = await fetch(url);
const result = await response.json();
if (result.success) {
// Clear stored session data
sessionStorage.removeItem('rke_session_id');
sessionStorage.removeItem('rke_expires_at');
console.log('Session deleted:', sessionId);
} else {
console.error('Failed to delete session:', result.message);
}
return result;
}
// Delete a session when done
const sessionId = sessionStorage.getItem('rke_session_id');
if (sessionId) {
deleteRkeSession(sessionId);
}
