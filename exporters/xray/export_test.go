package xray

// Brief is what is shown of a message.
var Brief = brief
