"""MQTT 3.1.1 client with deadlines: umqtt.simple's names, without its ways to hang or misread."""
