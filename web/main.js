document.title = "pinpipe";
