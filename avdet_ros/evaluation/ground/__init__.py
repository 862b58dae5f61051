"""Quality of tracks in metres and of the reports of vehicles behind corners."""
