"""Where sound comes from: devices, files, the simulation, behind one interface."""
