package main
import (
"encoding/json"
"fmt"
"io/ioutil"
"net/http"
)
const ApiHost = "http://localhost:8080"
type DeleteResponse struct {
Command string `json:"command"`
Success bool `json:"success"`
SessionID string `json:"session_id"`
}
func DeleteRkeSession(sessionId string) (*DeleteResponse, error) {
url := fmt.Sprintf("%s/api/rke/session/delete?session_id=%s", ApiHost, sessionId)
resp, err := http.Get(url)
if err != nil {
return nil, err
}
defer resp.Body.Close()
body, _ := ioutil.ReadAll(resp.Body)
var result DeleteResponse
json.Unmarshal(body, &result)
return &result, nil
}
func main() {
result, _ := DeleteRkeSession("a1b2c3d4e5f67890a1b2c3d4e5f67890")
if result.Success {
fmt.Println("Session deleted successfully")
}
}
